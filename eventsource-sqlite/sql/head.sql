SELECT head FROM main.log WHERE id = 1

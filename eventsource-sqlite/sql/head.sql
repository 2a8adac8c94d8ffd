SELECT head FROM log WHERE id = 1

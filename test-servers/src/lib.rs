//! Real servers for tests: started on demand, gone when the process that asked for them is gone.

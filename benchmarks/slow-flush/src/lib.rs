//! Preloaded into a program (`LD_PRELOAD`), it makes `fsync`, `fdatasync` and `sync_file_range` take at least as many
//! microseconds as `SLOW_FLUSH_MICROSECONDS` says: what a disk without a write cache that survives a power cut takes.
//!
//! The flush itself is done first; what is left of the time is slept, so that the processor is free meanwhile, as it is
//! while a disk works. It comes from outside of what is measured, so it is the same for every system.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::mem::transmute;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::{Duration, Instant};

type Flush = unsafe extern "C" fn(c_int) -> c_int;
type FlushRange = unsafe extern "C" fn(c_int, i64, i64, c_uint) -> c_int;

/// # Safety
/// As libc's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(descriptor: c_int) -> c_int {
    static NEXT: Next = Next::new(c"fsync");
    // SAFETY: the next library's function of this name has this type, and gets what this one got.
    slowly(|| unsafe { transmute::<*mut c_void, Flush>(NEXT.function())(descriptor) })
}

/// # Safety
/// As libc's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    static NEXT: Next = Next::new(c"fdatasync");
    // SAFETY: as above.
    slowly(|| unsafe { transmute::<*mut c_void, Flush>(NEXT.function())(descriptor) })
}

/// # Safety
/// As libc's own.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sync_file_range(descriptor: c_int, offset: i64, bytes: i64, flags: c_uint) -> c_int {
    static NEXT: Next = Next::new(c"sync_file_range");
    // SAFETY: as above.
    let flush =
        || unsafe { transmute::<*mut c_void, FlushRange>(NEXT.function())(descriptor, offset, bytes, flags) };
    // Without this flag nobody waits for the disk: it is only told to begin.
    if flags & libc::SYNC_FILE_RANGE_WAIT_AFTER == 0 { flush() } else { slowly(flush) }
}

/// The function that would have been called.
struct Next {
    name: &'static CStr,
    found: AtomicPtr<c_void>,
}

impl Next {
    const fn new(name: &'static CStr) -> Self {
        Self { name, found: AtomicPtr::new(std::ptr::null_mut()) }
    }

    fn function(&self) -> *mut c_void {
        let found = self.found.load(Ordering::Acquire);
        if !found.is_null() {
            return found;
        }
        // SAFETY: the name ends with a NUL.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
        if found.is_null() {
            // Every libc that this runs on has them; going on without a flush would be a lie.
            std::process::abort();
        }
        self.found.store(found, Ordering::Release);
        found
    }
}

fn slowly(flush: impl FnOnce() -> c_int) -> c_int {
    let begin = Instant::now();
    let result = flush();
    // SAFETY: it is this thread's own.
    let error = unsafe { *libc::__errno_location() };
    if let Some(rest) = least().checked_sub(begin.elapsed()) {
        sleep(rest);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = error };
    result
}

fn least() -> Duration {
    static LEAST: OnceLock<Duration> = OnceLock::new();
    *LEAST.get_or_init(|| {
        let microseconds = std::env::var("SLOW_FLUSH_MICROSECONDS").ok().and_then(|text| text.parse().ok());
        Duration::from_micros(microseconds.unwrap_or_default())
    })
}

fn sleep(time: Duration) {
    thread_local!(static PUNCTUAL: () = {
        // SAFETY: it changes when this thread is woken, and nothing else. By default that is 50 µs later.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_000_u64, 0, 0, 0) };
    });
    // A thread that ends has no thread-locals any more; then it sleeps less punctually.
    let _ = PUNCTUAL.try_with(|()| ());
    std::thread::sleep(time);
}

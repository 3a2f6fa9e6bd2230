//! That it is as strict as a driver, and counts what is free. That all works is for the tests to show that it is made for.

use crate::error::Error;
use crate::memory::{Place, Rows, file_of_mapping};
use crate::{context, memory};

#[test]
fn what_needs_a_context_fails_without_a_current_one() {
    assert_eq!(memory::allocate(1), Err(Error::InvalidContext));
    assert_eq!(context::pop(), Err(Error::InvalidContext));
    let context = context::create(0).unwrap();
    assert_eq!(context::current(), Ok((context, 0)));
    std::thread::spawn(|| assert_eq!(context::current(), Err(Error::InvalidContext))).join().unwrap();
    let start = memory::allocate(1).unwrap();
    assert_eq!(context::pop(), Ok(context));
    assert_eq!(memory::free(start), Err(Error::InvalidContext));
    context::destroy(context).unwrap();
    assert_eq!(context::push(context), Err(Error::InvalidContext));
}

#[test]
fn a_context_that_is_destroyed_takes_its_memory_along() {
    let primary = context::retain_primary(1);
    assert_eq!(context::retain_primary(1), primary);
    context::push(primary).unwrap();
    let start = memory::allocate(100).unwrap();
    assert_eq!(memory::range(start + 99), Ok((start, 100)));
    context::release_primary(1).unwrap();
    assert!(context::is_primary_active(1) && memory::attribute(9, start) == Ok((1, 4)));
    context::release_primary(1).unwrap();
    assert_eq!(memory::attribute(9, start), Err(Error::InvalidValue));
    assert_eq!(context::current(), Err(Error::ContextIsDestroyed));
    assert_eq!(context::release_primary(1), Err(Error::InvalidContext));
    context::pop().unwrap();
}

#[test]
fn copies_have_to_be_within_an_allocation() {
    let context = context::create(0).unwrap();
    let start = memory::allocate(100).unwrap();
    let mut got = [0_u8; 200];
    let to = Rows { place: Place::Host(got.as_mut_ptr() as usize), pitch: 50 };
    let from = |address| Rows { place: Place::Device(address), pitch: 50 };
    memory::fill(start, 0, 7_u8, 100, 1).unwrap();
    assert_eq!(memory::copy(to, from(start + 10), 40, 2), Ok(()));
    assert_eq!((got[..40].to_vec(), got[40], got[50..90].to_vec()), (vec![7; 40], 0, vec![7; 40]));
    for (address, len, count) in
        [(start + 61, 40, 1), (start + 11, 40, 2), (start + 100, 1, 1), (start, 51, 2)]
    {
        assert_eq!(memory::copy(to, from(address), len, count), Err(Error::InvalidValue), "{len} x {count}");
    }
    context::destroy(context).unwrap();
}

#[test]
fn what_is_free_is_counted() {
    const LEN: usize = 1 << 30;
    let context = context::create(0).unwrap();
    let before = memory::free_bytes().unwrap();
    let start = memory::allocate(LEN).unwrap();
    let taken = before - memory::free_bytes().unwrap();
    memory::free(start).unwrap();
    // Other tests have some, too.
    assert!(taken.abs_diff(LEN) < LEN / 2, "{taken} bytes are taken");
    assert!(before.abs_diff(memory::free_bytes().unwrap()) < LEN / 2);
    assert_eq!(memory::allocate(memory::TOTAL + 1), Err(Error::OutOfMemory));
    context::destroy(context).unwrap();
}

#[test]
fn mappings_are_read() {
    let line = "7f00-7f20 rw-s 00000000 00:01 4711                       /memfd:cuda-stand-in-0 (deleted)";
    assert_eq!(file_of_mapping(line), Some((4711, 0x20)));
    assert_eq!(file_of_mapping(""), None);
}

//! Nothing is loaded before it is asked for, and what is missing is named. In a process of its own, where nobody else loads
//! the libraries.

use std::fs;

use cuda::{CONTEXT_TYPE, Context, Error};

fn is_loaded(name: &str) -> bool {
    fs::read_to_string("/proc/self/maps").expect("maps").contains(name)
}

#[test]
fn nothing_is_loaded_before_it_is_asked_for_and_what_is_missing_is_named() {
    gst::init().expect("GStreamer");
    let element = gst::ElementFactory::make("identity").build().expect("identity");
    let memory = gst::Memory::from_slice(*b"the CPU's");
    assert!(!cuda::is_cuda(&memory));
    assert!(Context::of(&memory).is_none());
    let buffer = gst::Buffer::new();
    assert!(matches!(cuda::export(&buffer, memory), Err(Error::NotCuda { .. })));
    let other = gst::Context::new("gst.gl.GLDisplay", true);
    assert!(!cuda::handle_set_context(&element, &other, 0, &mut None));
    let mut query = gst::query::Context::new(CONTEXT_TYPE);
    assert!(!cuda::handle_context_query(&element, &mut query, || None));
    assert!(!is_loaded("libcuda.so") && !is_loaded("libgstcuda"));

    match (cuda::available(), Context::new(0)) {
        (Ok(()), Ok(context)) => {
            assert!(is_loaded("libcuda.so") && is_loaded("libgstcuda"));
            assert_eq!(context.device(), 0);
        }
        (Err(error), Err(same)) => {
            // It says the same to everybody, and again.
            assert_eq!((error.clone(), cuda::available()), (same, Err(error.clone())));
            assert_eq!(Context::for_element(&element, 0).err(), Some(error.clone()));
            let text = error.to_string();
            if !is_loaded("libcuda.so") {
                assert!(matches!(error, Error::Load { .. }), "{text}");
                assert!(text.contains("libcuda.so.1") && text.contains("install NVIDIA's driver"), "{text}");
            }
        }
        (available, context) => panic!("{available:?}, but {context:?}"),
    }
}

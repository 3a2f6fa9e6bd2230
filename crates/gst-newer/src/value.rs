//! Values that are there already, as those in a structure that was copied. The bindings can only replace them, which
//! takes longer.

use gst::glib::{Value, gobject_ffi, prelude::*, translate::*};

/// Numbers that GLib has a type for.
pub trait Number: ToValue + StaticType {
    /// Sets `value`, which holds such a number.
    #[doc(hidden)]
    fn set(self, value: &mut Value);
}

/// Makes `value` this number, whatever it was.
pub fn set<N: Number>(value: &mut Value, number: N) {
    if value.type_() == N::static_type() {
        number.set(value);
    } else {
        *value = number.to_value();
    }
}

macro_rules! numbers {
    ($($number:ty: $set:ident),* $(,)?) => {$(
        impl Number for $number {
            fn set(self, value: &mut Value) {
                // SAFETY: the value is initialised, and borrowed mutably. GLib checks its type.
                unsafe { gobject_ffi::$set(value.to_glib_none_mut().0, self.into()) };
            }
        }
    )*};
}

numbers! {
    i32: g_value_set_int,
    u32: g_value_set_uint,
    i64: g_value_set_int64,
    u64: g_value_set_uint64,
    f32: g_value_set_float,
    f64: g_value_set_double,
    bool: g_value_set_boolean,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_becomes_the_number_whatever_it_was() {
        let mut value = 1.to_value();
        set(&mut value, i32::MIN);
        assert_eq!(value.get(), Ok(i32::MIN));
        set(&mut value, u64::MAX);
        assert_eq!(value.get(), Ok(u64::MAX));
        value = "text".to_value();
        set(&mut value, 0.5);
        assert_eq!(value.get(), Ok(0.5));
        set(&mut value, true);
        set(&mut value, false);
        assert_eq!(value.get(), Ok(false));
    }
}

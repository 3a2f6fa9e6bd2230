//! The element `scriptsrc`: pushes what it is told to, unchanged and in order. No base class adds anything to it.
//!
//! Says `pushed …` after each push, with its result.

use gst::glib;
use gst::subclass::prelude::*;

/// Something to push.
pub(crate) enum Item {
    /// An event.
    Event(gst::Event),
    /// Makes a buffer.
    Buffer(Box<dyn FnOnce() -> gst::Buffer + Send>),
}

glib::wrapper! {
    pub(crate) struct ScriptSrc(ObjectSubclass<imp::ScriptSrc>) @extends gst::Element, gst::Object;
}

impl ScriptSrc {
    /// Queues items, to be pushed once the element is PAUSED or PLAYING.
    pub(crate) fn push(&self, items: Vec<Item>) {
        imp::ScriptSrc::from_obj(self).push(items);
    }

    /// Sends flush-start, drops what is queued, sends flush-stop.
    pub(crate) fn flush(&self) {
        imp::ScriptSrc::from_obj(self).flush();
    }
}

mod imp {
    use std::collections::VecDeque;
    use std::sync::{Condvar, LazyLock, Mutex};

    use gst::glib;
    use gst::prelude::*;
    use gst::subclass::prelude::*;

    use super::Item;
    use crate::say;

    #[derive(Default)]
    struct State {
        queue: VecDeque<Item>,
        flushing: bool,
        pushed: u64,
    }

    #[derive(Clone, Copy, Debug, Default)]
    struct Settings {
        live: bool,
        min_latency: u64,
    }

    pub(crate) struct ScriptSrc {
        pad: gst::Pad,
        settings: Mutex<Settings>,
        state: Mutex<State>,
        changed: Condvar,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for ScriptSrc {
        const NAME: &'static str = "NvdsucxTestScriptSrc";
        type Type = super::ScriptSrc;
        type ParentType = gst::Element;

        fn with_class(class: &Self::Class) -> Self {
            let pad = gst::Pad::builder_from_template(&class.pad_template("src").unwrap())
                .activatemode_function(|pad, parent, _, active| {
                    Self::catch_panic_pad_function(
                        parent,
                        || Err(gst::loggable_error!(gst::CAT_RUST, "panic")),
                        |this| this.activate(pad, active),
                    )
                })
                .event_function(|_, _, _| true)
                .query_function(|pad, parent, query| {
                    Self::catch_panic_pad_function(parent, || false, |this| this.query(pad, query))
                })
                .build();
            Self { pad, settings: Mutex::default(), state: Mutex::default(), changed: Condvar::new() }
        }
    }

    impl ObjectImpl for ScriptSrc {
        fn properties() -> &'static [glib::ParamSpec] {
            static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
                vec![
                    glib::ParamSpecBoolean::builder("live")
                        .nick("Live")
                        .blurb("Answer that it is live")
                        .build(),
                    glib::ParamSpecUInt64::builder("min-latency")
                        .nick("Latency")
                        .blurb("Nanoseconds")
                        .build(),
                ]
            });
            &PROPERTIES
        }

        fn set_property(&self, _id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
            let mut settings = self.settings.lock().unwrap();
            match pspec.name() {
                "live" => settings.live = value.get().expect("checked by GObject"),
                "min-latency" => settings.min_latency = value.get().expect("checked by GObject"),
                _ => unreachable!("no other property"),
            }
        }

        fn property(&self, _id: usize, pspec: &glib::ParamSpec) -> glib::Value {
            let settings = *self.settings.lock().unwrap();
            match pspec.name() {
                "live" => settings.live.to_value(),
                "min-latency" => settings.min_latency.to_value(),
                _ => unreachable!("no other property"),
            }
        }

        fn constructed(&self) {
            self.parent_constructed();
            self.obj().add_pad(&self.pad).expect("the only pad");
            self.obj().set_element_flags(gst::ElementFlags::SOURCE);
        }
    }

    impl GstObjectImpl for ScriptSrc {}

    impl ElementImpl for ScriptSrc {
        fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
            static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
                gst::subclass::ElementMetadata::new(
                    "Scripted source",
                    "Source",
                    "Pushes what it is told",
                    "nvdsucx",
                )
            });
            Some(&METADATA)
        }

        fn pad_templates() -> &'static [gst::PadTemplate] {
            static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
                let any = gst::Caps::new_any();
                vec![
                    gst::PadTemplate::new("src", gst::PadDirection::Src, gst::PadPresence::Always, &any)
                        .unwrap(),
                ]
            });
            &TEMPLATES
        }

        fn change_state(
            &self,
            change: gst::StateChange,
        ) -> Result<gst::StateChangeSuccess, gst::StateChangeError> {
            let success = self.parent_change_state(change)?;
            let to_paused =
                matches!(change, gst::StateChange::ReadyToPaused | gst::StateChange::PlayingToPaused);
            let live = self.settings.lock().unwrap().live;
            Ok(if to_paused && live { gst::StateChangeSuccess::NoPreroll } else { success })
        }
    }

    impl ScriptSrc {
        pub(super) fn push(&self, items: Vec<Item>) {
            self.state.lock().unwrap().queue.extend(items);
            self.changed.notify_all();
        }

        pub(super) fn flush(&self) {
            self.pad.push_event(gst::event::FlushStart::new());
            {
                let mut state = self.state.lock().unwrap();
                state.flushing = true;
                state.queue.clear();
            }
            self.changed.notify_all();
            // Waits until the streaming thread has come back.
            let _ = self.pad.pause_task();
            drop(self.pad.stream_lock());
            self.state.lock().unwrap().flushing = false;
            self.pad.push_event(gst::event::FlushStop::new(true));
            self.start().expect("the task was paused");
            say("flushed");
        }

        fn activate(&self, pad: &gst::Pad, active: bool) -> Result<(), gst::LoggableError> {
            if active {
                self.state.lock().unwrap().flushing = false;
                self.start()
            } else {
                self.state.lock().unwrap().flushing = true;
                self.changed.notify_all();
                pad.stop_task().map_err(|_| gst::loggable_error!(gst::CAT_RUST, "the task does not stop"))
            }
        }

        fn start(&self) -> Result<(), gst::LoggableError> {
            let this = self.downgrade();
            self.pad
                .start_task(move || {
                    if let Some(this) = this.upgrade() {
                        this.step();
                    }
                })
                .map_err(|_| gst::loggable_error!(gst::CAT_RUST, "the task does not start"))
        }

        /// Pushes one item; waits for it.
        fn step(&self) {
            let item = {
                let state = self.state.lock().unwrap();
                let wait = |state: &mut State| !state.flushing && state.queue.is_empty();
                let mut state = self.changed.wait_while(state, wait).unwrap();
                if state.flushing {
                    let _ = self.pad.pause_task();
                    return;
                }
                state.queue.pop_front().expect("waited for")
            };
            match item {
                Item::Event(event) => {
                    let name = event.type_().name().to_string();
                    let taken = self.pad.push_event(event);
                    say(&format!("pushed event {name} taken={taken}"));
                }
                Item::Buffer(make) => {
                    let result = self.pad.push(make());
                    let mut state = self.state.lock().unwrap();
                    let n = state.pushed;
                    state.pushed += 1;
                    drop(state);
                    let result = result.err().map_or_else(|| "Ok".to_owned(), |e| format!("{e:?}"));
                    say(&format!("pushed buffer n={n} result={result}"));
                    if result != "Ok" {
                        let _ = self.pad.pause_task();
                    }
                }
            }
        }

        fn query(&self, pad: &gst::Pad, query: &mut gst::QueryRef) -> bool {
            if let gst::QueryViewMut::Latency(latency) = query.view_mut() {
                let settings = *self.settings.lock().unwrap();
                latency.set(
                    settings.live,
                    gst::ClockTime::from_nseconds(settings.min_latency),
                    gst::ClockTime::NONE,
                );
                return true;
            }
            gst::Pad::query_default(pad, Some(&*self.obj()), query)
        }
    }
}

//! What differs between the releases: sizes and offsets, in bytes.

use std::mem::size_of;

use crate::Error;
use crate::at::At;
use crate::raw;

/// The structures of one release. What is not here is the same in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The releases that have it.
    pub(crate) release: &'static str,
    /// Size of NvDsFrameMeta.
    frame: usize,
    /// Size of NvOSD_RectParams, which is part of others.
    rect: usize,
    /// NvOSD_CircleParams has circle_width.
    pub(crate) circle_width: bool,
}

const LAYOUTS: [Layout; 3] = [
    Layout { release: "6.1 to 6.3", frame: 200, rect: 104, circle_width: false },
    Layout { release: "8.0", frame: 232, rect: 104, circle_width: true },
    Layout { release: "9.0 to 9.1", frame: 232, rect: 112, circle_width: true },
];

/// Sizes of structures, as a library has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// NvDsFrameMeta.
    pub frame: u32,
    /// NvDsObjectMeta.
    pub object: u32,
    /// NvDsClassifierMeta.
    pub classifier: u32,
    /// NvDsDisplayMeta.
    pub display: u32,
    /// NvDsUserMeta.
    pub user: u32,
    /// NvDsLabelInfo.
    pub label: u32,
    /// NvDsAudioFrameMeta.
    pub audio_frame: u32,
}

impl Layout {
    /// The one with these sizes.
    pub(crate) fn of(sizes: Sizes) -> Result<Self, Error> {
        LAYOUTS.into_iter().find(|layout| layout.sizes() == sizes).ok_or(Error::Release(sizes))
    }

    #[allow(clippy::cast_possible_truncation)]
    fn sizes(&self) -> Sizes {
        Sizes {
            frame: self.frame as u32,
            object: (self.object_tail() + size_of::<raw::ObjectTail>()) as u32,
            classifier: size_of::<raw::Classifier>() as u32,
            display: (self.display_tail() + size_of::<raw::DisplayTail>()) as u32,
            user: size_of::<raw::User>() as u32,
            label: size_of::<raw::Label>() as u32,
            audio_frame: size_of::<raw::AudioFrame>() as u32,
        }
    }

    const fn object_tail(&self) -> usize {
        size_of::<raw::Object>() + self.rect
    }

    const fn display_tail(&self) -> usize {
        size_of::<raw::Display>() + raw::SHAPES * self.rect
    }

    const fn has_sensor(&self) -> bool {
        self.frame == size_of::<raw::Frame>() + size_of::<raw::Sensor>() + size_of::<[i64; 4]>()
    }

    /// The sensor of a frame.
    pub(crate) fn sensor<'a>(&self, frame: At<'a, raw::Frame>) -> Option<At<'a, raw::Sensor>> {
        // SAFETY: that is where it stands in releases that have it, and a frame is of such a size there.
        self.has_sensor().then(|| unsafe { frame.part(size_of::<raw::Frame>()) })
    }

    /// The reserved words of a frame.
    pub(crate) fn frame_reserved<'a>(&self, frame: At<'a, raw::Frame>) -> At<'a, [i64; 4]> {
        // SAFETY: they are the end of a frame in all releases.
        unsafe { frame.part(self.frame - size_of::<[i64; 4]>()) }
    }

    /// The rectangle of an object.
    pub(crate) fn object_rect<'a>(&self, object: At<'a, raw::Object>) -> At<'a, raw::Rect> {
        // SAFETY: it follows there in all releases.
        unsafe { object.part(size_of::<raw::Object>()) }
    }

    /// What follows the rectangle of an object.
    pub(crate) fn object_rest<'a>(&self, object: At<'a, raw::Object>) -> At<'a, raw::ObjectTail> {
        // SAFETY: it ends with the object, whose size was compared with that of the library.
        unsafe { object.part(self.object_tail()) }
    }

    /// A rectangle of a display meta.
    pub(crate) fn display_rect<'a>(&self, display: At<'a, raw::Display>, index: usize) -> At<'a, raw::Rect> {
        assert!(index < raw::SHAPES, "rectangle {index} of a display meta");
        // SAFETY: an array of as many follows.
        unsafe { display.part(size_of::<raw::Display>() + index * self.rect) }
    }

    /// What follows the rectangles of a display meta.
    pub(crate) fn display_rest<'a>(&self, display: At<'a, raw::Display>) -> At<'a, raw::DisplayTail> {
        // SAFETY: it ends with the display meta, whose size was compared with that of the library.
        unsafe { display.part(self.display_tail()) }
    }

    /// The angle of a rectangle.
    pub(crate) fn rotation<'a>(&self, rect: At<'a, raw::Rect>) -> Option<At<'a, f32>> {
        // SAFETY: it is the end of a rectangle in releases where that is larger.
        (self.rect > size_of::<raw::Rect>()).then(|| unsafe { rect.part(size_of::<raw::Rect>()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(frame: u32, object: u32, display: u32) -> Sizes {
        Sizes { frame, object, classifier: 64, display, user: 48, label: 200, audio_frame: 320 }
    }

    #[test]
    fn each_release_is_known_by_its_sizes() {
        for (sizes, release) in [
            (sizes(200, 544, 6912), "6.1 to 6.3"),
            (sizes(232, 544, 6912), "8.0"),
            (sizes(232, 552, 7040), "9.0 to 9.1"),
        ] {
            assert_eq!(Layout::of(sizes).expect(release).release, release);
        }
    }

    #[test]
    fn other_sizes_are_refused_by_number() {
        let known = sizes(232, 552, 7040);
        for other in [
            sizes(200, 552, 7040),
            sizes(232, 544, 7040),
            sizes(240, 552, 7040),
            Sizes { user: 56, ..known },
            Sizes { label: 208, ..known },
            Sizes { classifier: 72, ..known },
            Sizes { audio_frame: 328, ..known },
        ] {
            let error = Layout::of(other).expect_err("not a release");
            assert_eq!(error, Error::Release(other));
            assert!(error.to_string().contains(&other.frame.to_string()), "{error}");
        }
    }
}

//! Valid batches, made of bytes: fewer and smaller bytes make less of a batch.

use dsmeta::Batch;
use dsmeta::model::*;
use proptest::prelude::*;

pub(crate) fn batch() -> impl Strategy<Value = Batch> {
    prop::collection::vec(any::<u8>(), 0..6000).prop_map(|bytes| {
        let mut source = Source(bytes.into_iter());
        if bool::draw(&mut source) {
            Batch::Audio(AudioBatch::draw(&mut source))
        } else {
            Batch::Video(VideoBatch::draw(&mut source))
        }
    })
}

/// Bytes, then zeros.
struct Source(std::vec::IntoIter<u8>);

impl Source {
    fn byte(&mut self) -> u8 {
        self.0.next().unwrap_or(0)
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }
}

trait Draw: Sized {
    fn draw(source: &mut Source) -> Self;
}

macro_rules! integers {
    ($($number:ty),*) => {$(
        impl Draw for $number {
            fn draw(source: &mut Source) -> Self {
                match source.below(4) {
                    0 => 0,
                    1 => Self::MAX,
                    2 => Self::MIN,
                    _ => Self::from_le_bytes(source.bytes()),
                }
            }
        }
    )*};
}
integers!(u32, i32, u64, i64);

macro_rules! floats {
    ($($number:ty),*) => {$(
        impl Draw for $number {
            fn draw(source: &mut Source) -> Self {
                let number = Self::from_le_bytes(source.bytes());
                if number.is_finite() { number } else { Self::MAX }
            }
        }
    )*};
}
floats!(f32, f64);

impl Draw for bool {
    fn draw(source: &mut Source) -> Self {
        source.byte() & 1 == 1
    }
}

impl Draw for KString {
    fn draw(source: &mut Source) -> Self {
        String::draw(source).into()
    }
}

impl Draw for String {
    /// Often of a length at which DeepStream's fields end.
    fn draw(source: &mut Source) -> Self {
        let characters = ["a", "é", "€", "🚗", "\u{1}"];
        let len = match source.below(4) {
            0 => 0,
            1 => source.below(16),
            2 => 120 + source.below(16),
            _ => source.below(256),
        };
        let character = characters[source.below(characters.len())];
        let mut text = "b".repeat(source.below(4));
        while text.len() + character.len() <= len {
            text.push_str(character);
        }
        text
    }
}

impl<const N: usize> Draw for [i64; N] {
    fn draw(source: &mut Source) -> Self {
        std::array::from_fn(|_| i64::draw(source))
    }
}

impl<T: Draw> Draw for Vec<T> {
    fn draw(source: &mut Source) -> Self {
        let count = match source.byte() {
            255 => 16,
            byte => usize::from(byte) % 4,
        };
        (0..count).map(|_| T::draw(source)).collect()
    }
}

impl<T: Draw> Draw for Option<T> {
    fn draw(source: &mut Source) -> Self {
        bool::draw(source).then(|| T::draw(source))
    }
}

/// What goes together is set right afterwards.
impl Draw for usize {
    fn draw(source: &mut Source) -> Self {
        source.byte().into()
    }
}

/// All fields are named, so that none is forgotten.
macro_rules! structs {
    ($($name:ident { $($field:ident),* } $(, $then:expr)?;)*) => {$(
        impl Draw for $name {
            fn draw(source: &mut Source) -> Self {
                #[allow(unused_mut)]
                let mut value = Self { $($field: Draw::draw(source)),* };
                $(let then: fn(&mut Self, &mut Source) = $then; then(&mut value, source);)?
                value
            }
        }
    )*};
}

structs! {
    Color { red, green, blue, alpha };
    Bbox { left, top, width, height };
    Rect { left, top, width, height, rotation, border_width, border_color, has_bg_color, reserve, bg_color,
        has_color_info, color_id };
    Font { name, size, color }, |font, source| font.size %= 1 + source.below(256) as u32;
    Text { display_text, x_offset, y_offset, font, set_bg_clr, bg_color };
    Mask { data, threshold, width, height }, |mask, source| {
        if bool::draw(source) {
            (mask.width, mask.height) = (source.below(5) as u32, source.below(5) as u32);
            mask.data = (0..mask.width * mask.height).map(|_| Draw::draw(source)).collect();
        } else {
            mask.data.clear();
        }
    };
    Line { x1, y1, x2, y2, width, color };
    Arrow { x1, y1, x2, y2, width, head, color, reserve };
    Circle { xc, yc, radius, color, has_bg_color, bg_color, width, reserve };
    Display { rects, texts, lines, arrows, circles, misc_osd_data, reserve };
    Label { num_classes, result_label, presult_label, result_class_id, label_id, result_prob };
    Classifier { unique_component_id, classifier_type, labels };
    Region { id, parent_id, x, y, width, height, params, confidence };
    Object { parent, unique_component_id, class_id, object_id, detector_bbox, tracker_bbox, confidence,
        tracker_confidence, rect, mask, text, label, classifiers, misc_obj_info, reserve, region };
    Sensor { source_id, uri, id, name };
    Detection { label, x, y, width, height, rotation, confidence };
    Class { label, confidence };
    Tracking { tracking_id, first_seen, last_seen, lost };
    Relation { from, to, kinds };
    Analytics { items, relations }, |analytics, _| {
        let count = analytics.items.len();
        analytics.relations.truncate(count * 16);
        for relation in &mut analytics.relations {
            relation.from %= count;
            relation.to %= count;
        }
    };
    VideoFrame { pad_index, batch_id, frame_num, buf_pts, ntp_timestamp, source_id, num_surfaces_per_frame,
        source_frame_width, source_frame_height, surface_type, surface_index, infer_done, objects, displays,
        misc_frame_info, pipeline_width, pipeline_height, reserve, sensor, analytics }, |frame, source| {
        // All parents stand before their parts, or all behind.
        let before = bool::draw(source);
        let count = frame.objects.len();
        for (index, object) in frame.objects.iter_mut().enumerate() {
            let choice = if before { 0..index } else { index + 1..count };
            object.parent = object.parent.filter(|_| !choice.is_empty());
            object.parent = object.parent.map(|parent| choice.start + parent % choice.len());
        }
    };
    VideoBatch { max_frames_in_batch, frames, misc_batch_info, reserve, origin }, |batch, source| {
        batch.max_frames_in_batch = (batch.frames.len().max(1) + source.below(8)) as u32;
    };
    AudioFrame { pad_index, batch_id, frame_num, buf_pts, ntp_timestamp, source_id, num_samples_per_frame,
        sample_rate, num_channels, format, layout, infer_done, class_id, confidence, class_label, classifiers,
        misc_frame_info, reserve };
    AudioBatch { max_frames_in_batch, frames, misc_batch_info, reserve }, |batch, source| {
        batch.max_frames_in_batch = (batch.frames.len().max(1) + source.below(8)) as u32;
    };
}

impl Draw for Origin {
    fn draw(source: &mut Source) -> Self {
        [Self::DeepStream, Self::Regions, Self::Analytics][source.below(3)]
    }
}

impl Draw for AnalyticsItem {
    fn draw(source: &mut Source) -> Self {
        match source.below(3) {
            0 => Self::Detection(Draw::draw(source)),
            1 => Self::Classification(Draw::draw(source)),
            _ => Self::Tracking(Draw::draw(source)),
        }
    }
}

//! What GStreamer's own metadata has that DeepStream's has not, so that it comes back as it was.

/// What a batch was before it became a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// DeepStream's `NvDsBatchMeta`, or nobody said.
    #[default]
    DeepStream = 0,
    /// GStreamer's `GstVideoRegionOfInterestMeta`: objects have a [`Region`].
    Regions = 1,
    /// GStreamer's `GstAnalyticsRelationMeta`: frames have an [`Analytics`].
    Analytics = 2,
}

/// A `GstVideoRegionOfInterestMeta`; its type is the object's label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// Its id.
    pub id: i32,
    /// Id of the region it is a part of.
    pub parent_id: i32,
    /// Left edge, in pixels.
    pub x: u32,
    /// Upper edge, in pixels.
    pub y: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its parameters: a `GstStructure` each, as text, in order.
    pub params: Vec<String>,
    /// The object's confidence in double precision, where single precision lost some of it; otherwise 0.
    pub confidence: f64,
}

/// A `GstAnalyticsRelationMeta`.
///
/// It stands beside the frame's objects and does not refer to them: they are for readers that do not know it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analytics {
    /// What it has, in the order in which it was added.
    pub items: Vec<AnalyticsItem>,
    /// How these belong together.
    pub relations: Vec<Relation>,
}

/// One piece of analytics metadata.
#[derive(Clone, Debug, PartialEq)]
pub enum AnalyticsItem {
    /// A `GstAnalyticsODMtd`.
    Detection(Detection),
    /// A `GstAnalyticsClsMtd`: its classes in order.
    Classification(Vec<Class>),
    /// A `GstAnalyticsTrackingMtd`.
    Tracking(Tracking),
}

/// Something detected.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Detection {
    /// Its type.
    pub label: String,
    /// Left edge, in pixels.
    pub x: i32,
    /// Upper edge, in pixels.
    pub y: i32,
    /// Width in pixels.
    pub width: i32,
    /// Height in pixels.
    pub height: i32,
    /// Angle in radians.
    pub rotation: f32,
    /// Confidence in where it is.
    pub confidence: f32,
}

/// A class that something may have.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Class {
    /// Its name.
    pub label: String,
    /// Confidence in it.
    pub confidence: f32,
}

/// Something followed from frame to frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracking {
    /// The tracker's number for it.
    pub tracking_id: u64,
    /// When it was seen first, in nanoseconds.
    pub first_seen: u64,
    /// When it was seen last, in nanoseconds.
    pub last_seen: u64,
    /// It is out of sight.
    pub lost: bool,
}

/// How one item stands to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    /// Index of the item it starts from.
    pub from: usize,
    /// Index of the item it leads to.
    pub to: usize,
    /// `GstAnalyticsRelTypes`.
    pub kinds: u32,
}

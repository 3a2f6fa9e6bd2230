//! Regions of interest to bytes and back without an allocation for each text: a frame may have hundreds of them.
//!
//! The bytes are those of a [`Meta`](crate::Meta). What is out of the ordinary in them [`Region::read`] leaves to
//! [`decode_meta`](crate::decode_meta), which knows all that protobuf allows, and says what is wrong.

use crate::metas::{check_name_of_structure, check_plain};
use crate::structure::field::Value;
use crate::{MAX_FIELDS, MAX_LABEL, MAX_PARAMS};

/// Key of a region in a meta, and the keys in a region, a structure and a field.
const REGION: u8 = key(3, LEN);
const TYPE: u8 = key(1, LEN);
const ID: u8 = key(2, VARINT);
const PARENT_ID: u8 = key(3, VARINT);
const RECTANGLE: [u8; 4] = [key(4, VARINT), key(5, VARINT), key(6, VARINT), key(7, VARINT)];
const PARAM: u8 = key(8, LEN);
const NAME: u8 = key(1, LEN);
const FIELD: u8 = key(2, LEN);
const TEXT: u8 = key(3, LEN);

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const LEN: u8 = 2;
const FIXED32: u8 = 5;

const fn key(field: u8, wire_type: u8) -> u8 {
    field << 3 | wire_type
}

/// The value of a field of a structure, as in [`Value`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the types have the names")]
pub enum FieldValue<'a> {
    Int(i32),
    Uint(u32),
    Int64(i64),
    Uint64(u64),
    Float(f32),
    Double(f64),
    Boolean(bool),
    String(&'a str),
}

impl<'a> From<&'a Value> for FieldValue<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Int(value) => Self::Int(*value),
            Value::Uint(value) => Self::Uint(*value),
            Value::Int64(value) => Self::Int64(*value),
            Value::Uint64(value) => Self::Uint64(*value),
            Value::Float(value) => Self::Float(*value),
            Value::Double(value) => Self::Double(*value),
            Value::Boolean(value) => Self::Boolean(*value),
            Value::String(value) => Self::String(value),
        }
    }
}

impl From<FieldValue<'_>> for Value {
    fn from(value: FieldValue<'_>) -> Self {
        match value {
            FieldValue::Int(value) => Self::Int(value),
            FieldValue::Uint(value) => Self::Uint(value),
            FieldValue::Int64(value) => Self::Int64(value),
            FieldValue::Uint64(value) => Self::Uint64(value),
            FieldValue::Float(value) => Self::Float(value),
            FieldValue::Double(value) => Self::Double(value),
            FieldValue::Boolean(value) => Self::Boolean(value),
            FieldValue::String(value) => Self::String(value.to_owned()),
        }
    }
}

/// A region on its way out.
#[derive(Debug)]
pub struct RegionWriter {
    region: Vec<u8>,
    /// Room for the parts, whose length comes before them.
    param: Vec<u8>,
    field: Vec<u8>,
}

impl RegionWriter {
    /// A region without parameters: `x`, `y`, width and height in pixels.
    pub fn new(r#type: &str, id: i32, parent_id: i32, rectangle: [u32; 4]) -> Self {
        let mut region = Vec::with_capacity(96);
        put_text(&mut region, TYPE, r#type);
        put_nonzero(&mut region, ID, zigzag(id.into()));
        put_nonzero(&mut region, PARENT_ID, zigzag(parent_id.into()));
        for (key, value) in RECTANGLE.into_iter().zip(rectangle) {
            put_nonzero(&mut region, key, value.into());
        }
        Self { region, param: Vec::with_capacity(96), field: Vec::with_capacity(48) }
    }

    /// Adds a parameter, field by field: `fill` puts them. If it returns false there is no such parameter.
    pub fn param(&mut self, name: &str, fill: impl FnOnce(&mut ParamWriter<'_>) -> bool) -> bool {
        self.param.clear();
        put_text(&mut self.param, NAME, name);
        let filled = fill(&mut ParamWriter { param: &mut self.param, field: &mut self.field });
        if filled {
            put_bytes(&mut self.region, PARAM, &self.param);
        }
        filled
    }

    /// Adds a parameter as text.
    pub fn text_param(&mut self, text: &str) {
        self.param.clear();
        put_text(&mut self.param, TEXT, text);
        put_bytes(&mut self.region, PARAM, &self.param);
    }

    /// The meta.
    pub fn finish(self) -> Vec<u8> {
        let mut meta = Vec::with_capacity(self.region.len() + 6);
        put_bytes(&mut meta, REGION, &self.region);
        meta
    }
}

/// A parameter of a region on its way out.
#[derive(Debug)]
pub struct ParamWriter<'a> {
    param: &'a mut Vec<u8>,
    field: &'a mut Vec<u8>,
}

impl ParamWriter<'_> {
    /// Adds a field.
    pub fn field(&mut self, name: &str, value: FieldValue<'_>) {
        self.field.clear();
        put_text(self.field, NAME, name);
        put_value(self.field, value);
        put_bytes(self.param, FIELD, self.field);
    }
}

/// A region that was received, checked as [`decode_meta`](crate::decode_meta) checks it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region<'a> {
    /// What it is.
    pub r#type: &'a str,
    /// Of the region.
    pub id: i32,
    /// Of another region.
    pub parent_id: i32,
    /// `x`, `y`, width and height in pixels.
    pub rectangle: [u32; 4],
    bytes: &'a [u8],
}

/// A parameter of a region.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Param<'a> {
    /// Empty if it travels as text.
    pub name: &'a str,
    /// Empty if it travels field by field.
    pub text: &'a str,
    bytes: &'a [u8],
}

impl<'a> Region<'a> {
    /// The region in the bytes of a meta. `None`: it is no region, or not written as [`RegionWriter`] does it.
    pub fn read(meta: &'a [u8]) -> Option<Self> {
        let region = Self::head(meta)?;
        region.raw_params().all(|param| Param::read(param).is_some()).then_some(region)
    }

    /// As [`read`](Self::read), but what is in the parameters is not looked at.
    pub fn head(meta: &'a [u8]) -> Option<Self> {
        let mut meta = Reader(meta);
        let (key, bytes) = (meta.byte()?, meta.bytes()?);
        if key != REGION || !meta.0.is_empty() {
            return None;
        }
        let mut region = Self { r#type: "", id: 0, parent_id: 0, rectangle: [0; 4], bytes };
        let (mut reader, mut last, mut params) = (Reader(bytes), 0, 0);
        while !reader.0.is_empty() {
            let key = reader.byte()?;
            // Each once, in order, but for the parameters.
            if key <= last && key != PARAM {
                return None;
            }
            last = key;
            match key {
                TYPE => region.r#type = reader.text().filter(|text| text.len() <= MAX_LABEL)?,
                ID => region.id = reader.signed()?,
                PARENT_ID => region.parent_id = reader.signed()?,
                PARAM => {
                    params += 1;
                    reader.bytes()?;
                }
                key => {
                    let side = RECTANGLE.iter().position(|side| *side == key)?;
                    region.rectangle[side] = u32::try_from(reader.varint()?).ok()?;
                }
            }
        }
        (params <= MAX_PARAMS).then_some(region)
    }

    /// The parameters, in order; of a region that was [read](Self::read), all of them.
    pub fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        self.raw_params().map_while(Param::split)
    }

    /// The bytes of the parameters, in order.
    pub fn raw_params(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut reader = Reader(self.bytes);
        std::iter::from_fn(move || {
            // All of it was read before.
            loop {
                match reader.byte()? {
                    PARAM => return reader.bytes(),
                    TYPE => drop(reader.bytes()?),
                    _ => drop(reader.varint()?),
                }
            }
        })
    }
}

impl<'a> Param<'a> {
    /// The parameter in these bytes, checked. `None`: it is not written as [`RegionWriter`] does it.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let param = Self::split(bytes)?;
        if param.text.is_empty() {
            check_name_of_structure(param.name).ok()?;
        }
        let count = |count, field: Option<(&[u8], _)>| {
            field.filter(|(name, _)| !name.is_empty() && is_plain_text(name)).map(|_| count + 1)
        };
        (param.fields().try_fold(0, count)? <= MAX_FIELDS).then_some(param)
    }

    /// What of it is where. Names are not looked at.
    fn split(bytes: &'a [u8]) -> Option<Self> {
        let mut param = Self { name: "", text: "", bytes: &[] };
        let mut reader = Reader(bytes);
        if reader.0.first() == Some(&TEXT) {
            reader.byte()?;
            param.text = reader.text().filter(|text| !text.is_empty())?;
            return reader.0.is_empty().then_some(param);
        }
        if reader.byte()? != NAME {
            return None;
        }
        param.name = str::from_utf8(reader.bytes()?).ok()?;
        param.bytes = reader.0;
        Some(param)
    }

    /// The fields, in order; `None` of what is out of the ordinary, which nobody sees of a parameter that was read.
    fn fields(&self) -> impl Iterator<Item = Option<(&'a [u8], FieldValue<'a>)>> + use<'a> {
        let mut reader = Reader(self.bytes);
        std::iter::from_fn(move || (!reader.0.is_empty()).then(|| reader.field()))
    }

    /// The names and values of the fields, in order.
    pub fn values(&self) -> impl Iterator<Item = (&'a str, FieldValue<'a>)> + use<'a> {
        self.fields()
            .map_while(|field| field.and_then(|(name, value)| Some((str::from_utf8(name).ok()?, value))))
    }
}

/// What parameters with the same name and fields have in common: all bytes but those of the values.
#[derive(Debug)]
pub struct Shape {
    name: Box<[u8]>,
    /// Name and key of the value of each.
    fields: Vec<Box<[u8]>>,
}

impl Shape {
    /// That of `param`, which does not travel as text.
    pub fn of(param: &Param<'_>) -> Self {
        let mut name = Vec::new();
        put_text(&mut name, NAME, param.name);
        let field = |(name, value): (&str, _)| {
            let mut field = Vec::new();
            put_text(&mut field, NAME, name);
            field.push(VALUES[index_of(&value)]);
            field.into()
        };
        Self { name: name.into(), fields: param.values().map(field).collect() }
    }

    /// The values in the bytes of a parameter of this shape. `None`: it has another name, or travels as text.
    pub fn values<'s, 'a>(&'s self, param: &'a [u8]) -> Option<ShapeValues<'s, 'a>> {
        let rest = Reader(param.strip_prefix(&*self.name)?);
        Some(ShapeValues { fields: self.fields.iter(), rest, failed: false })
    }
}

/// The values in the bytes of a parameter, see [`Shape::values`].
#[derive(Debug)]
pub struct ShapeValues<'s, 'a> {
    fields: std::slice::Iter<'s, Box<[u8]>>,
    rest: Reader<'a>,
    failed: bool,
}

impl<'a> ShapeValues<'_, 'a> {
    /// The value of the next field; `None` at the end, or if the field is another one.
    pub fn next_value(&mut self) -> Option<FieldValue<'a>> {
        let field = self.fields.next()?;
        let value = self.read(field);
        self.failed |= value.is_none();
        value
    }

    fn read(&mut self, field: &[u8]) -> Option<FieldValue<'a>> {
        if self.rest.byte()? != FIELD {
            return None;
        }
        let mut reader = Reader(self.rest.bytes()?.strip_prefix(field)?);
        let value = reader.value_of(*field.last()?)?;
        reader.0.is_empty().then_some(value)
    }

    /// Whether that was all of the parameter, and of the shape, and all of it good.
    pub fn is_finished(&self) -> bool {
        !self.failed && self.fields.as_slice().is_empty() && self.rest.0.is_empty()
    }
}

#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn varint(&mut self) -> Option<u64> {
        // Most are short.
        match self.0 {
            [byte @ ..0x80, rest @ ..] => {
                self.0 = rest;
                Some((*byte).into())
            }
            _ => prost::encoding::decode_varint(&mut self.0).ok(),
        }
    }

    fn signed(&mut self) -> Option<i32> {
        i32::try_from(unzigzag(self.varint()?)).ok()
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn text(&mut self) -> Option<&'a str> {
        let text = str::from_utf8(self.bytes()?).ok()?;
        check_plain("", text).is_ok().then_some(text)
    }

    /// Its name is not looked at.
    fn field(&mut self) -> Option<(&'a [u8], FieldValue<'a>)> {
        if self.byte()? != FIELD {
            return None;
        }
        let mut field = Self(self.bytes()?);
        if field.byte()? != NAME {
            return None;
        }
        let name = field.bytes()?;
        let value = field.value()?;
        field.0.is_empty().then_some((name, value))
    }

    fn value(&mut self) -> Option<FieldValue<'a>> {
        let key = self.byte()?;
        self.value_of(key)
    }

    /// The value behind `key`.
    fn value_of(&mut self, key: u8) -> Option<FieldValue<'a>> {
        Some(match VALUES.iter().position(|other| *other == key)? {
            0 => FieldValue::Int(self.signed()?),
            1 => FieldValue::Uint(u32::try_from(self.varint()?).ok()?),
            2 => FieldValue::Int64(unzigzag(self.varint()?)),
            3 => FieldValue::Uint64(self.varint()?),
            4 => FieldValue::Float(f32::from_le_bytes(self.fixed()?)),
            5 => FieldValue::Double(f64::from_le_bytes(self.fixed()?)),
            6 => FieldValue::Boolean(self.varint()? != 0),
            _ => FieldValue::String(self.text()?),
        })
    }
}

/// Where the key of a value is in [`VALUES`].
fn index_of(value: &FieldValue<'_>) -> usize {
    match value {
        FieldValue::Int(_) => 0,
        FieldValue::Uint(_) => 1,
        FieldValue::Int64(_) => 2,
        FieldValue::Uint64(_) => 3,
        FieldValue::Float(_) => 4,
        FieldValue::Double(_) => 5,
        FieldValue::Boolean(_) => 6,
        FieldValue::String(_) => 7,
    }
}

/// Whether it is a text without a NUL.
fn is_plain_text(bytes: &[u8]) -> bool {
    // Nearly always, and found out sooner.
    let is_ascii = bytes.iter().all(|byte| (1..0x80).contains(byte));
    is_ascii || str::from_utf8(bytes).is_ok_and(|text| check_plain("", text).is_ok())
}

/// The keys of the values of a field, in the order of [`FieldValue`].
const VALUES: [u8; 8] = [
    key(2, VARINT),
    key(3, VARINT),
    key(4, VARINT),
    key(5, VARINT),
    key(6, FIXED32),
    key(7, FIXED64),
    key(8, VARINT),
    key(9, LEN),
];

fn put_value(to: &mut Vec<u8>, value: FieldValue<'_>) {
    let [int, uint, int64, uint64, float, double, boolean, string] = VALUES;
    match value {
        FieldValue::Int(value) => put_number(to, int, zigzag(value.into())),
        FieldValue::Uint(value) => put_number(to, uint, value.into()),
        FieldValue::Int64(value) => put_number(to, int64, zigzag(value)),
        FieldValue::Uint64(value) => put_number(to, uint64, value),
        FieldValue::Float(value) => {
            to.push(float);
            to.extend_from_slice(&value.to_le_bytes());
        }
        FieldValue::Double(value) => {
            to.push(double);
            to.extend_from_slice(&value.to_le_bytes());
        }
        FieldValue::Boolean(value) => put_number(to, boolean, value.into()),
        // Written even if it is empty: that it is there is what tells its type.
        FieldValue::String(value) => put_bytes(to, string, value.as_bytes()),
    }
}

fn put_number(to: &mut Vec<u8>, key: u8, value: u64) {
    to.push(key);
    prost::encoding::encode_varint(value, to);
}

fn put_nonzero(to: &mut Vec<u8>, key: u8, value: u64) {
    if value != 0 {
        put_number(to, key, value);
    }
}

fn put_bytes(to: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    put_number(to, key, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

fn put_text(to: &mut Vec<u8>, key: u8, text: &str) {
    if !text.is_empty() {
        put_bytes(to, key, text.as_bytes());
    }
}

fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

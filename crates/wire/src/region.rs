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
                    Param::read(reader.bytes()?)?;
                }
                key => {
                    let side = RECTANGLE.iter().position(|side| *side == key)?;
                    region.rectangle[side] = u32::try_from(reader.varint()?).ok()?;
                }
            }
        }
        (params <= MAX_PARAMS).then_some(region)
    }

    /// The parameters, in order.
    pub fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut reader = Reader(self.bytes);
        std::iter::from_fn(move || {
            // All of it was read before.
            loop {
                match reader.byte()? {
                    PARAM => return Param::read(reader.bytes()?),
                    TYPE => drop(reader.bytes()?),
                    _ => drop(reader.varint()?),
                }
            }
        })
    }
}

impl<'a> Param<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
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
        param.name = reader.text().filter(|name| check_name_of_structure(name).is_ok())?;
        param.bytes = reader.0;
        let fields = param.fields().try_fold(0, |count, field| field.map(|_| count + 1))?;
        (fields <= MAX_FIELDS).then_some(param)
    }

    /// The fields, in order; `None` of what is out of the ordinary, which nobody sees of a parameter that was read.
    fn fields(&self) -> impl Iterator<Item = Option<(&'a str, FieldValue<'a>)>> + use<'a> {
        let mut reader = Reader(self.bytes);
        std::iter::from_fn(move || (!reader.0.is_empty()).then(|| reader.field()))
    }

    /// The names and values of the fields, in order.
    pub fn values(&self) -> impl Iterator<Item = (&'a str, FieldValue<'a>)> + use<'a> {
        self.fields().map_while(|field| field)
    }
}

#[derive(Clone, Copy)]
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

    fn field(&mut self) -> Option<(&'a str, FieldValue<'a>)> {
        if self.byte()? != FIELD {
            return None;
        }
        let mut field = Self(self.bytes()?);
        if field.byte()? != NAME {
            return None;
        }
        let name = field.text().filter(|name| !name.is_empty())?;
        let value = field.value()?;
        field.0.is_empty().then_some((name, value))
    }

    fn value(&mut self) -> Option<FieldValue<'a>> {
        Some(match VALUES.iter().position(|key| Some(key) == self.0.first())? {
            0 => FieldValue::Int(self.skip_key().signed()?),
            1 => FieldValue::Uint(u32::try_from(self.skip_key().varint()?).ok()?),
            2 => FieldValue::Int64(unzigzag(self.skip_key().varint()?)),
            3 => FieldValue::Uint64(self.skip_key().varint()?),
            4 => FieldValue::Float(f32::from_le_bytes(self.skip_key().fixed()?)),
            5 => FieldValue::Double(f64::from_le_bytes(self.skip_key().fixed()?)),
            6 => FieldValue::Boolean(self.skip_key().varint()? != 0),
            _ => FieldValue::String(self.skip_key().text()?),
        })
    }

    fn skip_key(&mut self) -> &mut Self {
        self.0 = self.0.get(1..).unwrap_or_default();
        self
    }
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

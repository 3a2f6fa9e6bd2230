"""The dsmeta schema as Google's protobuf sees it, from the reference and not from our code.

    golden.py write video|audio VARIANT   a payload on standard output
    golden.py print video|audio           the payload on standard input as text

Variants: `every` has every field of the schema, `nvidia` is as NVIDIA's writer does it, mistakes included, `safe` is
what NVIDIA's reader survives, `strange` has user metas and fields that nobody knows.
"""

import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

COMMON = """
nvdsbasemeta: 1 meta_type u32
nvdsclassifiermeta: 1 base_meta nvdsbasemeta, 2 num_labels u32, 3 unique_component_id i32,
    4 label_info_list nvdslabelinfo[], 5 classifier_type string
nvdslabelinfo: 1 base_meta nvdsbasemeta, 2 num_classes u32, 3 result_label string, 4 presult_label string,
    5 result_class_id u32, 6 label_id i32, 7 result_prob float
nvdsusermeta: 1 base_meta nvdsbasemeta, 2 user_meta_data string
"""

SCHEMAS = {
    "video": COMMON
    + """
nvdsbatchmeta: 1 base_meta nvdsbasemeta, 2 max_frames_in_batch u32, 3 num_frames_in_batch u32,
    4 frame_meta_list nvdsframemeta[], 5 batch_user_meta_list nvdsusermeta[], 6 misc_batch_info i64[], 7 reserve i64[]
nvdsframemeta: 1 base_meta nvdsbasemeta, 2 pad_index u32, 3 batch_id u32, 4 frame_num i32, 5 buf_pts u64,
    6 ntp_timestamp u64, 7 source_id u32, 8 num_surfaces_per_frame i32, 9 source_frame_width u32,
    10 source_frame_height u32, 11 surface_type u32, 12 surface_index u32, 13 num_obj_meta u32, 14 binferdone bool,
    15 obj_meta_list nvdsobjectmeta[], 16 display_meta_list nvdsdisplaymeta[], 17 frame_user_meta_list nvdsusermeta[],
    18 misc_frame_info i64[], 19 pipeline_width u32, 20 pipeline_height u32, 21 reserve i64[]
nvdsobjectmeta: 1 base_meta nvdsbasemeta, 2 unique_component_id i32, 3 class_id i32, 4 object_id u64,
    5 detector_bbox_info nvdscompbboxinfo, 6 tracker_bbox_info nvdscompbboxinfo, 7 confidence float,
    8 tracker_confidence float, 9 rect_params nvosdrectparams, 10 mask_params nvosdmaskparams,
    11 text_params nvosdtextparams, 12 obj_label string, 13 classifier_meta_list nvdsclassifiermeta[],
    14 obj_user_meta_list nvdsusermeta[], 15 misc_obj_info i64[], 16 reserve i64[]
nvdscompbboxinfo: 1 org_bbox_coords nvbboxcoords
nvbboxcoords: 1 left float, 2 top float, 3 width float, 4 height float
nvosdcolorparams: 1 red double, 2 green double, 3 blue double, 4 alpha double
nvosdrectparams: 1 left float, 2 top float, 3 width float, 4 height float, 5 border_width u32,
    6 border_color nvosdcolorparams, 7 has_bg_color u32, 8 reserve u32, 9 bgcolor nvosdcolorparams,
    10 has_color_info i32, 11 color_id i32
nvosdtextparams: 1 display_text string, 2 x_offset u32, 3 y_offset u32, 4 font_params nvosdfontparams,
    5 set_bg_clr i32, 6 text_bg_clr nvosdcolorparams
nvosdfontparams: 1 font_name string, 2 font_size u32, 3 font_color nvosdcolorparams
nvosdmaskparams: 1 data float[], 2 size u32, 3 threshold float, 4 width u32, 5 height u32
nvdsdisplaymeta: 1 base_meta nvdsbasemeta, 2 num_rects u32, 3 num_labels u32, 4 num_lines u32, 5 num_arrows u32,
    6 num_circles u32, 7 rect_params nvosdrectparams[], 8 text_params nvosdtextparams[],
    9 line_params nvosdlineparams[], 10 arrow_params nvosdarrowparams[], 11 circle_params nvosdcircleparams[],
    12 misc_osd_data i64[], 13 reserve i64[]
nvosdlineparams: 1 x1 u32, 2 y1 u32, 3 x2 u32, 4 y2 u32, 5 line_width u32, 6 line_color nvosdcolorparams
nvosdarrowparams: 1 x1 u32, 2 y1 u32, 3 x2 u32, 4 y2 u32, 5 arrow_width u32, 6 arrow_head u32,
    7 arrow_color nvosdcolorparams, 8 reserve u32
nvosdcircleparams: 1 xc u32, 2 yc u32, 3 radius u32, 4 circle_color nvosdcolorparams, 5 has_bg_color u32,
    6 circle_bg_color nvosdcolorparams, 7 reserve u32
""",
    "audio": COMMON
    + """
nvdsbatchmeta: 1 base_meta nvdsbasemeta, 2 max_frames_in_batch u32, 3 num_frames_in_batch u32,
    4 audio_frame_meta_list nvdsaudioframemeta[], 5 batch_user_meta_list nvdsusermeta[], 6 misc_batch_info i64[],
    7 reserve i64[]
nvdsaudioframemeta: 1 base_meta nvdsbasemeta, 2 pad_index u32, 3 batch_id u32, 4 frame_num i32, 5 buf_pts u64,
    6 ntp_timestamp u64, 7 source_id u32, 8 num_samples_per_frame i32, 9 sample_rate u32, 10 num_channels u32,
    11 nvbufaudioformat u32, 12 nvbufaudiolayout u32, 13 binferdone bool, 14 class_id i32, 15 confidence float,
    16 class_label string, 17 classifier_meta_list nvdsclassifiermeta[], 18 frame_user_meta_list nvdsusermeta[],
    19 misc_frame_info i64[], 20 reserve i64[]
""",
}

TYPES = {"u32": "UINT32", "i32": "INT32", "u64": "UINT64", "i64": "INT64"}


def batch_class(media):
    """The class of the root message; each medium has descriptors of its own, since the names are the same."""
    file = descriptor_pb2.FileDescriptorProto(name=media, package="dsmeta", syntax="proto3")
    for line in SCHEMAS[media].replace("\n    ", " ").split("\n"):
        if not line:
            continue
        name, fields = line.split(":")
        message = file.message_type.add(name=name)
        for item in fields.split(","):
            number, name, kind = item.split()
            field = message.field.add(name=name, number=int(number))
            field.label = field.LABEL_REPEATED if kind.endswith("[]") else field.LABEL_OPTIONAL
            kind = kind.removesuffix("[]")
            if kind.startswith("nv"):
                field.type, field.type_name = field.TYPE_MESSAGE, ".dsmeta." + kind
            else:
                field.type = getattr(field, "TYPE_" + TYPES.get(kind, kind.upper()))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptor = pool.FindMessageTypeByName("dsmeta.nvdsbatchmeta")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def base(meta_type):
    return {"meta_type": meta_type}


def color(first):
    return {"red": first, "green": first + 0.125, "blue": first + 0.25, "alpha": 1.0}


def coords(first):
    return {"left": first, "top": first + 1, "width": first + 2, "height": first + 3}


def rect(first):
    return dict(
        coords(first), border_width=3, border_color=color(0.25), has_bg_color=1, reserve=7, bgcolor=color(0.5),
        has_color_info=1, color_id=-2)


def text(characters):
    font = {"font_name": "Serif", "font_size": 12, "font_color": color(0.125)}
    return {"display_text": characters, "x_offset": 8, "y_offset": 9, "font_params": font, "set_bg_clr": 1,
            "text_bg_clr": color(0.625)}


def classifier(name, component, words):
    labels = [
        {"base_meta": base(6), "num_classes": 9, "result_label": word, "presult_label": word + "!",
         "result_class_id": index + 1, "label_id": -1, "result_prob": 0.5}
        for index, word in enumerate(words)
    ]
    return {"base_meta": base(5), "num_labels": len(labels), "unique_component_id": component,
            "label_info_list": labels, "classifier_type": name}


CLASSIFIERS = [classifier("colour", 4, ["red", "dark", "shiny"]), classifier("make", -5, ["Škoda", "old", "dented"])]

OBJECTS = [
    {"base_meta": base(3), "unique_component_id": 1, "class_id": -1, "object_id": 2**64 - 1,
     "detector_bbox_info": {"org_bbox_coords": coords(10)}, "tracker_bbox_info": {"org_bbox_coords": coords(20)},
     "confidence": 0.75, "tracker_confidence": 0.875, "rect_params": rect(30),
     "mask_params": {"data": [0.0, 0.25, 0.5, 0.75, 1.0, 1.25], "size": 24, "threshold": 0.5, "width": 3, "height": 2},
     "text_params": text("vehicle 1"), "obj_label": "vehicle", "classifier_meta_list": CLASSIFIERS,
     "misc_obj_info": [1, -2, 3, -4], "reserve": [5, 6, 7, 8]},
    {"base_meta": base(3), "object_id": 2, "obj_label": "wheel", "misc_obj_info": [0] * 4, "reserve": [0] * 4},
]

DISPLAY = {
    "base_meta": base(4), "num_rects": 1, "num_labels": 1, "num_lines": 1, "num_arrows": 1, "num_circles": 1,
    "rect_params": [rect(40)], "text_params": [text("zone")],
    "line_params": [{"x1": 1, "y1": 2, "x2": 3, "y2": 4, "line_width": 5, "line_color": color(0.25)}],
    "arrow_params": [{"x1": 6, "y1": 7, "x2": 8, "y2": 9, "arrow_width": 10, "arrow_head": 2,
                      "arrow_color": color(0.375), "reserve": 11}],
    "circle_params": [{"xc": 12, "yc": 13, "radius": 14, "circle_color": color(0.5), "has_bg_color": 1,
                       "circle_bg_color": color(0.625), "reserve": 15}],
    "misc_osd_data": [16, 17, 18, 19], "reserve": [20, 21, 22, 23],
}

BATCH = {"max_frames_in_batch": 4, "num_frames_in_batch": 2, "misc_batch_info": [31, 32, 33, -34],
         "reserve": [35, 36, 37, 38]}

WHERE = {"pad_index": 1, "batch_id": 2, "frame_num": -3, "buf_pts": 2**64 - 1, "ntp_timestamp": 2**40, "source_id": 4}

SAMPLES = {
    "video": dict(BATCH, frame_meta_list=[
        dict(WHERE, base_meta=base(2), num_surfaces_per_frame=1, source_frame_width=1920, source_frame_height=1080,
             surface_type=5, surface_index=6, num_obj_meta=2, binferdone=True, obj_meta_list=OBJECTS,
             display_meta_list=[DISPLAY], misc_frame_info=[41, 42, 43, 44], pipeline_width=1280, pipeline_height=720,
             reserve=[0xAA, 0xAB, 0xAC, 0xAD]),
        {"base_meta": base(2), "batch_id": 3, "misc_frame_info": [0] * 4, "reserve": [0] * 4},
    ]),
    "audio": dict(BATCH, audio_frame_meta_list=[
        dict(WHERE, base_meta=base(26), num_samples_per_frame=1024, sample_rate=48000, num_channels=2,
             nvbufaudioformat=5, nvbufaudiolayout=1, binferdone=True, class_id=-1, confidence=0.75,
             class_label="siren", classifier_meta_list=CLASSIFIERS, misc_frame_info=[41, 42, 43, 44],
             reserve=[0xAA, 0xAB, 0xAC, 0xAD]),
        {"base_meta": base(26), "batch_id": 3, "misc_frame_info": [0] * 4, "reserve": [0] * 4},
    ]),
}


def texts(frame):
    yield from (item.text_params for item in frame.obj_meta_list if item.HasField("text_params"))
    for display in frame.display_meta_list:
        yield from display.text_params


def as_nvidia_writes(batch, media):
    """Without what it never sets; a mask's size is in bytes but taken for a count."""
    del batch.reserve[:]
    for frame in batch.frame_meta_list if media == "video" else []:
        for item in texts(frame):
            item.ClearField("set_bg_clr")
        for display in frame.display_meta_list:
            display.ClearField("misc_osd_data")
            display.ClearField("reserve")
        for item in frame.obj_meta_list:
            mask = item.mask_params
            mask.data.extend([float("nan")] * (mask.size - len(mask.data)))
            item.rect_params.ClearField("reserve")


def as_nvidia_survives(batch, media):
    for frame in batch.frame_meta_list if media == "video" else batch.audio_frame_meta_list:
        if media == "audio":
            frame.ClearField("classifier_meta_list")
            continue
        for item in texts(frame):
            item.ClearField("display_text")
        frame.ClearField("display_meta_list")
        for item in frame.obj_meta_list:
            item.ClearField("classifier_meta_list")
            item.ClearField("mask_params")


def strange(batch, media):
    """Field 999, once of each wire type, is known to nobody."""
    user = {"base_meta": base(9000), "user_meta_data": "blob"}
    unknown = bytes.fromhex("b83e01" "b93e0102030405060708" "ba3e03ffffff" "bd3e01020304")
    frames = batch.frame_meta_list if media == "video" else batch.audio_frame_meta_list
    batch.batch_user_meta_list.add(**user)
    for frame in frames:
        frame.frame_user_meta_list.add(**user)
        for item in frame.obj_meta_list if media == "video" else []:
            item.obj_user_meta_list.add(**user)
            item.MergeFromString(unknown)
        frame.MergeFromString(unknown)
    batch.base_meta.meta_type = 1
    batch.MergeFromString(unknown)


VARIANTS = {"every": lambda batch, media: None, "nvidia": as_nvidia_writes, "safe": as_nvidia_survives,
            "strange": strange}


def main():
    action, media = sys.argv[1:3]
    if action == "write":
        batch = batch_class(media)(**SAMPLES[media])
        VARIANTS[sys.argv[3]](batch, media)
        sys.stdout.buffer.write(batch.SerializeToString())
    else:
        batch = batch_class(media).FromString(sys.stdin.buffer.read())
        sys.stdout.write(text_format.MessageToString(batch, as_utf8=True))


main()

/* A program that names a library to both elements, as one for DeepStream does, and looks for the region that it has put on
 * each buffer. Takes the names of both libraries, the first for nvdsmetainsert. */

#include <gst/gst.h>
#include <gst/video/gstvideometa.h>
#include <stdio.h>

static guint found;

static gboolean
is_region (GstBuffer * buffer, GstMeta ** meta, gpointer user_data)
{
  if ((*meta)->info->api == GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)
    *meta = NULL;
  return TRUE;
}

static GstPadProbeReturn
before (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  GstBuffer *buffer = info->data = gst_buffer_make_writable (GST_BUFFER (info->data));
  GstVideoRegionOfInterestMeta *region =
      gst_buffer_add_video_region_of_interest_meta (buffer, "car", 1, 2, 3, 4);
  region->id = 5;
  gst_video_region_of_interest_meta_add_param (region,
      gst_structure_new ("detection", "confidence", G_TYPE_DOUBLE, 0.5, "label_id", G_TYPE_INT, 7, NULL));
  return GST_PAD_PROBE_OK;
}

/* Only the payload goes on. */
static GstPadProbeReturn
between (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  GstBuffer *buffer = info->data = gst_buffer_make_writable (GST_BUFFER (info->data));
  gst_buffer_foreach_meta (buffer, is_region, NULL);
  return GST_PAD_PROBE_OK;
}

static GstPadProbeReturn
after (GstPad * pad, GstPadProbeInfo * info, gpointer user_data)
{
  GstVideoRegionOfInterestMeta *region =
      gst_buffer_get_video_region_of_interest_meta_id (GST_BUFFER (info->data), 5);
  GstStructure *param =
      region ? gst_video_region_of_interest_meta_get_param (region, "detection") : NULL;
  gdouble confidence = 0;
  gint class_id = 0;

  if (param && region->roi_type == g_quark_from_string ("car") && region->x == 1 && region->y == 2
      && region->w == 3 && region->h == 4
      && gst_structure_get (param, "confidence", G_TYPE_DOUBLE, &confidence, "label_id", G_TYPE_INT,
          &class_id, NULL) && confidence == 0.5 && class_id == 7)
    found++;
  return GST_PAD_PROBE_OK;
}

static void
probe (GstElement * pipeline, const char *name, GstPadProbeCallback callback)
{
  GstElement *element = gst_bin_get_by_name (GST_BIN (pipeline), name);
  GstPad *pad = gst_element_get_static_pad (element, "src");
  gst_pad_add_probe (pad, GST_PAD_PROBE_TYPE_BUFFER, callback, NULL, NULL);
  gst_object_unref (pad);
  gst_object_unref (element);
}

int
main (int argc, char **argv)
{
  GError *error = NULL;
  GstElement *pipeline, *element;
  GstMessage *message;

  gst_init (&argc, &argv);
  pipeline = gst_parse_launch ("videotestsrc num-buffers=10 name=source ! video/x-raw,width=64,height=64 ! "
      "nvdsmetainsert name=insert ! nvdsmetaextract name=extract ! fakesink", &error);
  if (!pipeline) {
    fprintf (stderr, "%s\n", error->message);
    return 2;
  }
  element = gst_bin_get_by_name (GST_BIN (pipeline), "insert");
  g_object_set (element, "serialize-lib", argv[1], NULL);
  gst_object_unref (element);
  element = gst_bin_get_by_name (GST_BIN (pipeline), "extract");
  g_object_set (element, "deserialize-lib", argv[2], NULL);
  gst_object_unref (element);
  probe (pipeline, "source", before);
  probe (pipeline, "insert", between);
  probe (pipeline, "extract", after);

  gst_element_set_state (pipeline, GST_STATE_PLAYING);
  message = gst_bus_timed_pop_filtered (GST_ELEMENT_BUS (pipeline), 30 * GST_SECOND,
      GST_MESSAGE_EOS | GST_MESSAGE_ERROR | GST_MESSAGE_WARNING);
  if (!message || GST_MESSAGE_TYPE (message) != GST_MESSAGE_EOS) {
    gst_printerrln ("no end of stream: %" GST_PTR_FORMAT, message);
    return 3;
  }
  gst_element_set_state (pipeline, GST_STATE_NULL);
  printf ("%u regions\n", found);
  return 0;
}

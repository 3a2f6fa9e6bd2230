#!/bin/sh
# run COMMAND...: with this folder's GStreamer, UCX and plugins, and none of the system's.
case $0 in
    */*) here=${0%/*} ;;
    *) here=. ;;
esac
here=$(CDPATH='' cd -- "$here" && pwd -P) || exit
if [ $# -eq 0 ]; then
    echo "usage: $0 COMMAND..., for example: $0 gst-inspect-1.0 nvdsucxserversink" >&2
    exit 2
fi

export NVDSUCX_BUNDLE="$here"
export PATH="$here/bin:$PATH"
# CUDA's own libraries, where the system has them but its loader does not know.
cuda=
for folder in /usr/local/cuda/lib64 /usr/local/cuda/targets/x86_64-linux/lib /usr/local/cuda/targets/sbsa-linux/lib; do
    [ -d "$folder" ] && cuda=$cuda:$folder
done
export LD_LIBRARY_PATH="$here/ucx:$here/lib$cuda${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"

# GST_PLUGIN_PATH stays the user's own.
export GST_PLUGIN_SYSTEM_PATH_1_0="$here/gst"
export GST_PLUGIN_SCANNER_1_0="$here/bin/gst-plugin-scanner"
export GST_REGISTRY="${GST_REGISTRY:-$here/registry.bin}"
# The system's modules are made for the system's GLib.
export GIO_MODULE_DIR="$here/none"
export UCX_MODULE_DIR="$here/ucx/ucx"

if [ -d "$here/deepstream" ]; then
    export LD_LIBRARY_PATH="$here/deepstream:$LD_LIBRARY_PATH"
    export LIBV4L2_PLUGIN_DIR="$here/deepstream/v4l_plugins"
    export NVDSUCX_DEEPSTREAM="${NVDSUCX_DEEPSTREAM:-$here/deepstream}"
fi
exec "$@"

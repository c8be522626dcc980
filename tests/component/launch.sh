#!/bin/sh
# Starts MFD_PROGRAM the way the replayer of the golden conversations starts a QEMU: the options are
# QEMU's, so either program fits.
if [ -n "$QMP_RAM_FILE" ]; then
    backend="memory-backend-file,id=$QMP_RAM_ID,mem-path=$QMP_RAM_FILE,size=$QMP_MEM,share=on"
else
    backend="memory-backend-ram,id=$QMP_RAM_ID,size=$QMP_MEM"
fi
[ "$QMP_PAUSED" = 1 ] && paused=-S
exec "$MFD_PROGRAM" -nodefaults -display none $paused -m "${QMP_MEM}B" \
    -machine "none,memory-backend=$QMP_RAM_ID" -object "$backend" \
    -qmp "unix:$QMP_SOCKET,server=on,wait=off" \
    ${QMP_INCOMING:+-incoming "$QMP_INCOMING"} ${QMP_NAME:+-name "$QMP_NAME"}

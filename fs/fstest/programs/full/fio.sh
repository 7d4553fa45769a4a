# fio writes by every way there is, and reads back what it wrote, with checksums.
# needs: fio=fio

size=$(size 8m 256m)
run() { # NAME ARGUMENT…
	local name=$1
	shift
	step "$name" fio --name="${name// /-}" --directory="$DIR" --size="$size" --verify=crc32c --verify_fatal=1 --verify_state_save=0 --do_verify=1 \
		--output-format=json --output="$TMPDIR/out" "$@"
	echo "$name: $(grep -c '"error" : 0' "$TMPDIR/out") without error"
}
run "sequential" --rw=write --bs=128k --ioengine=psync --end_fsync=1
run "random" --rw=randwrite --bs=4k --ioengine=psync --io_size=64m --fsync=256
run "odd sizes" --rw=randwrite --bsrange=512-96k --bs_unaligned --ioengine=psync
run "mapped" --rw=randwrite --bs=4k --ioengine=mmap --io_size=32m
run "mapped, mixed" --rw=randrw --bs=16k --ioengine=mmap --io_size=32m
run "direct" --rw=randwrite --bs=4k --ioengine=libaio --iodepth=16 --direct=1 --io_size=32m
run "direct, synchronous" --rw=randwrite --bs=64k --ioengine=psync --direct=1 --sync=1 --io_size=8m
run "io_uring" --rw=randwrite --bs=8k --ioengine=io_uring --iodepth=32 --io_size=64m
run "vectors" --rw=randrw --bs=32k --ioengine=pvsync --io_size=64m
run "four at once" --rw=randwrite --bs=16k --ioengine=psync --numjobs=4 --io_size=16m --group_reporting
run "allocated" --rw=write --bs=64k --ioengine=psync --fallocate=native --overwrite=1
run "falloc" --rw=write --bs=1m --ioengine=psync --fallocate=posix
remount
for f in *; do echo "$f $(stat -c %s "$f")"; done

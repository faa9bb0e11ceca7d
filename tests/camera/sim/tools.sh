#!/usr/bin/env bash
# Aravis's own tools find the simulated camera, read and set its nodes, and take its images. usage: tools.sh PROGRAM
set -uo pipefail
sim=$1
for tool in arv-tool-0.8 arv-camera-test-0.8; do
    command -v $tool >/dev/null || { echo "$tool is not installed"; exit 77; }
done
work=$(mktemp -d /tmp/glowworm-camera-tools-XXXXXX)
address=127.$((2 + $$ / 16384 % 32)).$(($$ / 64 % 256)).$(($$ % 64 + 1))
serial=TOOLS-$$
sim_pid=
end() { [ -z "$sim_pid" ] || kill "$sim_pid" 2>/dev/null; wait; rm -rf "$work"; }
trap end EXIT
failures=0
fail() { echo "$*"; failures=1; }

"$sim" --address "$address" --serial "$serial" --fault lost-packets:1 >"$work/ready" 2>"$work/log" &
sim_pid=$!
for ((i = 0; i < 500; i++)); do
    [ -s "$work/ready" ] && break
    kill -0 $sim_pid 2>/dev/null || break
    sleep 0.02
done
[ "$(cat "$work/ready")" = "ready $address" ] || { echo "the camera did not start"; cat "$work/log"; exit 1; }

timeout 20 arv-tool-0.8 >"$work/list" 2>&1
grep -qF "FLIR-Firefly FFY-U3-16S2M-DL-$serial ($address)" "$work/list" || fail "it is not listed: $(cat "$work/list")"

timeout 20 arv-tool-0.8 -a "$address" values >"$work/values" 2>&1
for value in "'DeviceSerialNumber' = '$serial'" "'Width' = 1440" "'TriggerSource' = 'Software'" "'GammaEnable' = true"; do
    grep -qF -- "$value" "$work/values" || fail "$value is not among the values"
done
grep -qiE "error|not found|invalid" "$work/values" && fail "a node has no value: $(grep -iE "error|not found|invalid" "$work/values")"

timeout 20 arv-tool-0.8 -a "$address" control Width=320 Height=240 InferencePreprocessChannelMean=127.5 \
    TriggerSource=InferenceReady >/dev/null 2>"$work/errors" || fail "nodes cannot be set: $(cat "$work/errors")"
timeout 20 arv-tool-0.8 -a "$address" control Width Height TriggerSource InferencePreprocessChannelMean >"$work/read" 2>&1
for value in "Width = 320" "Height = 240" "TriggerSource = InferenceReady" "InferencePreprocessChannelMean = 127.5"; do
    grep -qF "$value" "$work/read" || fail "$value was not kept: $(cat "$work/read")"
done
timeout 20 arv-tool-0.8 -a "$address" control Width=321 2>&1 | grep -q "Width = 321" && fail "an odd width was taken"
timeout 20 arv-tool-0.8 -a "$address" genicam >"$work/firefly.xml" 2>&1
/usr/bin/python3 -c "import sys, xml.dom.minidom as d; d.parse(sys.argv[1])" "$work/firefly.xml" || fail "the description is no XML"

timeout 30 arv-camera-test-0.8 -n "$address" --duration 2 >"$work/images" 2>&1
completed=$(sed -n 's/^n_completed_buffers *= *//p' "$work/images")
[ "${completed:-0}" -ge 10 ] || fail "too few images arrived: $(cat "$work/images")"

"$sim" --address "$address" >"$work/second" 2>&1
status=$?
[ $status = 75 ] && grep -q "listens on $address:3956 already" "$work/second" || fail "a second camera on its address: $status $(cat "$work/second")"
kill -TERM $sim_pid
wait $sim_pid || fail "SIGTERM ended it with $?"
sim_pid=
refuse() { # OPTION... WORDS: usage errors
    "$sim" "${@:1:$#-1}" >"$work/refused" 2>&1
    [ $? = 2 ] && grep -qF -- "${!#}" "$work/refused" || fail "${*:1:$#-1}: $(head -n 1 "$work/refused")"
}
refuse --address 192.168.0.1 "--address takes a loopback address"
refuse --model grey "--model takes mono or colour"
refuse --sums fp64 "--sums takes fp32 or fp16"
refuse --speed 0 "--speed takes a number of 0.01 to 1000"
refuse --latency "1 2" "--latency takes three or four numbers"
refuse --serial "a b" "--serial takes 1 to 15"
refuse --fault upside-down 'there is no fault "upside-down"'
refuse --fault stuck-node:Wdth 'there is no node "Wdth"'
refuse more 'it takes options only, not "more"'
"$sim" --network "$work/nowhere" >"$work/refused" 2>&1
[ $? = 65 ] || fail "a file that is not there: $(cat "$work/refused")"
echo "no network" >"$work/words"
timeout 20 "$sim" --address "$address" --network "$work/words" >"$work/refused" 2>&1
[ $? = 65 ] && grep -qF -- "--network $work/words: " "$work/refused" || fail "a file that is no network: $(cat "$work/refused")"
count=0
for fault in $("$sim" --help | sed -n '/^faults:/,$s/^  \([a-z-]*\).*/\1/p'); do
    argument=$([ "$fault" != stuck-node ] || echo :Width)
    "$sim" --fault "$fault$argument" --version >/dev/null 2>&1 || fail "--help lists $fault, which is not taken"
    count=$((count + 1))
done
[ $count -ge 11 ] || fail "--help lists $count faults only"
exit $failures

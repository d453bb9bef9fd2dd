#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each for a short time from small inputs made here.
#   tests/fuzz/run.sh BUILD [SECONDS]      BUILD: a folder for the instrumented build
# Exit code 77 (skipped) where there is no clang with libFuzzer.
set -euo pipefail
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$1
mkdir -p "$build"
seconds=${2:-12}
compiler=$(command -v clang++-14 || command -v clang++ || true)
if [ -z "$compiler" ]; then
  echo "skipped: no clang++"
  exit 77
fi
cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_COMPILER="${compiler/++/}" \
  -DCMAKE_CXX_COMPILER="$compiler" -DFINETUNE_FUZZ=ON -DFINETUNE_TORCH=OFF -DFINETUNE_CUDA=OFF -DFINETUNE_TESTS=OFF > "$build/configure.log" 2>&1 ||
  { cat "$build/configure.log"; exit 1; }
cmake --build "$build" --target fuzz_safetensors fuzz_tokenizer fuzz_reader fuzz_config >> "$build/configure.log" 2>&1 ||
  { tail -40 "$build/configure.log"; exit 1; }

seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT
mkdir "$seeds"/{safetensors,tokenizer,reader,config}
header='{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"__metadata__":{"k":"v"}}'
printf '\x50\0\0\0\0\0\0\0%-80s12345678' "$header" > "$seeds/safetensors/one"
printf '%s' '{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<0x0A>":3,"<unk>":4},"merges":["a b"],"byte_fallback":true,"unk_token":"<unk>"},"added_tokens":[{"id":5,"content":"<s>","special":true,"lstrip":true,"normalized":false},{"id":6,"content":"word","single_word":true}],"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"String":" "},"content":"_"}]},"pre_tokenizer":{"type":"Metaspace","replacement":"_","prepend_scheme":"first"},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[5]}}},"decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"_"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}}' > "$seeds/tokenizer/fallback"
printf '%s' '{"model":{"vocab":{"a":0,"Ġ":1,"Ġa":2},"merges":[["Ġ","a"]]},"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}| ?\\p{L}+|\\s+"},"behavior":"Isolated"},{"type":"ByteLevel","add_prefix_space":true,"use_regex":false}]},"post_processor":{"type":"ByteLevel","trim_offsets":true},"decoder":{"type":"ByteLevel"}}' > "$seeds/tokenizer/bytes"
printf '\0{"prompt": "a", "completion": "\\u00e9"}\n\n{"text": [1, 2.5e3, null]}\r\n' > "$seeds/reader/jsonl"
printf '\1a,b\r\n"x ""y""\nz",2\n3,4\n' > "$seeds/reader/csv"
printf '\2[{"a": 1}, {"a": "b"}]' > "$seeds/reader/json"
printf '\3a\tb\n1\t2\t3\n' > "$seeds/reader/tsv"
printf '\x85one--two\n\n--three' > "$seeds/reader/txt"
printf 'train:\n  steps: 10\n  learning_rate: 3e-4\n  lora: {rank: 8, targets: [q_proj, "v"]}\nsearch:\n  train.beta1: {low: 0.8, high: .9, step: 1e-2}\ntune: {trials: 0o17, scheduler: {name: asha}}\nrun: {out: ~, devices: [cpu]}\n' > "$seeds/config/yaml"
printf '{"data": {"train": ["a.jsonl"], "prompt": null}, "train": {"seed": -1}}' > "$seeds/config/json"

# A fixed seed: a longer run finds what a shorter one finds and more, and two runs of one length find the same.
for target in safetensors tokenizer reader config; do
  echo "fuzz_$target"
  if ! "$build/fuzz_$target" -seed=1 -max_total_time="$seconds" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=5 -max_len=4096 \
    -print_final_stats=0 -verbosity=1 -artifact_prefix="$build/found-$target-" "$seeds/$target" > "$build/$target.log" 2>&1; then
    tail -60 "$build/$target.log"
    exit 1
  fi
  tail -2 "$build/$target.log"
done

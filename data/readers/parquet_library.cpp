// Arrow is 60 MB that few runs need: what reads Parquet is a library of its own (data/parquet), which stands beside the
// program and is loaded with the first such file.
#include <dlfcn.h>

#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "core/own_file.h"
#include "data/readers/readers.h"

namespace finetune {
namespace {

using ReadParquet = void (*)(const std::string& path, const RecordSink& sink);

struct ParquetLibrary {
  ReadParquet read = nullptr;
  std::string problem;
};

ParquetLibrary load_library() {
  const std::string name = "libfinetune_parquet.so";
  std::error_code ignored;
  const auto beside = own_file().parent_path() / name;
  void* handle = dlopen(beside.c_str(), RTLD_NOW);
  const std::string problem = handle != nullptr                          ? ""
                              : std::filesystem::exists(beside, ignored) ? std::string(" (") + dlerror() + ")"
                                                                         : "";
  if (handle == nullptr) handle = dlopen(name.c_str(), RTLD_NOW);  // a host program's own path of libraries
  if (handle == nullptr) return {nullptr, problem};
  return {reinterpret_cast<ReadParquet>(dlsym(handle, "finetune_read_parquet")), ""};
}

}  // namespace

void read_parquet(const std::string& path, const RecordSink& sink) {
  static const ParquetLibrary kLibrary = load_library();
  if (kLibrary.read == nullptr)
    throw bad_input(path, "this build reads no Parquet" + kLibrary.problem +
                              "; run ./setup.sh --parquet, or convert it: python -c \"import pandas; "
                              "pandas.read_parquet('" +
                              path + "').to_json('data.jsonl', orient='records', lines=True)\"");
  kLibrary.read(path, sink);
}

}  // namespace finetune

#include "config/config.h"

#include "core/error.h"
#include "python/bindings.h"

namespace finetune::python {

MemoryFiles memory_files(const RowTexts& rows) {
  MemoryFiles files;
  for (const auto& [path, text] : rows)
    files.emplace(path, std::make_shared<const std::string>(text.c_str(), text.size()));
  return files;
}

RunConfig read_config(const std::string& file, const std::string& json, const RowTexts& rows,
                      std::initializer_list<const char*> required, const ConfigUse& use) {
  RunConfig config = load_config({.file = file, .text = json});
  for (const char* key : required) {
    if (!config.is_given(key)) throw bad_input(file, std::string(key) + " is missing");
  }
  config.data.memory = memory_files(rows);
  if (use.prompts) config.data.valid_fraction_given = false;
  validate(config, use.asktell);
  return config;
}

}  // namespace finetune::python

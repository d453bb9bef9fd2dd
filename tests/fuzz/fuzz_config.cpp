// Any bytes as a configuration: an Error, or a tree that printing and reading again keeps.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "config/fields.h"
#include "config/node.h"
#include "core/error.h"

namespace {

void must_read_back(const finetune::ConfigNode& node) {
  const std::string printed = finetune::to_yaml(node);
  try {
    if (finetune::to_yaml(finetune::parse_config("printed", printed)) != printed) std::abort();
  } catch (const finetune::Error&) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto root = finetune::parse_config("fuzz", std::string(reinterpret_cast<const char*>(data), size));
    if (root.kind != finetune::ConfigNode::Kind::map) return 0;
    must_read_back(root);
    finetune::RunConfig config;
    for (const auto& [key, node] : root.entries) finetune::set_key(config, key, node);
  } catch (const finetune::Error&) {
  }
  return 0;
}

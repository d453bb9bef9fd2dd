// What loading did to a data set, for people: each thing once.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace finetune {

/// "data.train: 3 of 1,200 examples were cut to ...": examples cut, dropped or without a token to learn, and columns
/// that were not used. `what`: the key that names the files. Nothing where nothing happened.
std::vector<std::string> dataset_notes(const Dataset& data, const std::string& what, const DataOptions& options);

/// "chat template chatml, assumed: the checkpoint has none"; `used`: Dataset::chat_template.
std::string chat_template_note(const std::string& used, const DataOptions& options);

}  // namespace finetune

// What the tokens of data files follow from, as a hash.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace finetune {

/// Of the program, the bytes of the files, what `checkpoint` has for its tokenizer, the tokenizer's own template, and
/// the options, DataOptions::date and by_role aside. Reads all of the files. Throws Error (bad_input) naming one that
/// cannot be read.
std::string token_key(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                      const std::filesystem::path& checkpoint);

}  // namespace finetune

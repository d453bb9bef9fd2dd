// What `check` shows of the data: examples with the trained tokens marked, counts, rejects.
#pragma once

#include <iosfwd>
#include <vector>

#include "data/dataset.h"

namespace finetune {

/// The first `count` examples, trained tokens in colour (or in brackets without a terminal).
void show_examples(std::ostream& out, const Dataset& data, const Tokenizer& tokenizer, std::size_t count, bool colour);
/// Counts, lengths, format; what was cut or dropped stands among the notes (data/dataset_notes.h).
void show_counts(std::ostream& out, const std::string& name, const Dataset& data);
/// Per role of the conversations: tokens, and how many of them are trained; examples held out included.
void show_roles(std::ostream& out, const Dataset& data);
void show_rejects(std::ostream& out, const Dataset& data, std::size_t most);

}  // namespace finetune

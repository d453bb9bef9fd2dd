// The verbs tokenize and detokenize: JSON lines in, JSON lines out.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace finetune {

/// A JSON string per line in, a list of ids per line out. A bad line throws Error (bad_input) naming stdin:LINE.
int run_tokenize(const std::filesystem::path& model, bool special, std::istream& in, std::ostream& out);
/// The inverse.
int run_detokenize(const std::filesystem::path& model, std::istream& in, std::ostream& out);

}  // namespace finetune

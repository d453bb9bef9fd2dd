#include "cli/show_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <ostream>

#include "core/text.h"

namespace finetune {
namespace {

constexpr std::size_t kLongestShown = 200;  // tokens

std::string visible(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
  return out;
}

// Runs of tokens of one kind are decoded together: single tokens may be parts of characters.
void show_sequence(std::ostream& out, const ExampleView& example, const Tokenizer& tokenizer, bool colour) {
  const std::size_t shown = std::min(example.ids.size(), kLongestShown);
  for (std::size_t begin = 0; begin < shown;) {
    std::size_t end = begin;
    while (end < shown && example.loss[end] == example.loss[begin]) ++end;
    // Decoders drop a leading space at the very beginning only, so a run is what its prefix adds to the text before it.
    const std::span<const std::int32_t> ids(example.ids);
    const std::string before = tokenizer.decode(ids.first(begin)), with = tokenizer.decode(ids.first(end));
    const std::string text = visible(with.starts_with(before) ? with.substr(before.size())
                                                              : tokenizer.decode(ids.subspan(begin, end - begin)));
    if (!example.loss[begin])
      out << text;
    else if (colour)
      out << "\x1b[32m" << text << "\x1b[0m";
    else
      out << "[[" << text << "]]";
    begin = end;
  }
  if (shown < example.ids.size()) out << " ... (" << example.ids.size() << " tokens)";
  out << "\n";
}

// Two sequences are a pair of answers, each behind the prompt (data/sequences.h).
void show_one(std::ostream& out, const ExampleView& example, const Tokenizer& tokenizer, bool colour) {
  if (!example.desirable) out << "undesirable: ";
  if (example.ends.size() < 2) return show_sequence(out, example, tokenizer, colour);
  std::size_t begin = 0;
  for (std::size_t s = 0; s < example.ends.size(); ++s) {
    const auto end = static_cast<std::size_t>(example.ends[s]);
    ExampleView one;
    one.ids = example.ids.subspan(begin, end - begin);
    one.loss = example.loss.subspan(begin, end - begin);
    out << (s == 0 ? "chosen: " : "  rejected: ");
    show_sequence(out, one, tokenizer, colour);
    begin = end;
  }
}

}  // namespace

void show_examples(std::ostream& out, const Dataset& data, const Tokenizer& tokenizer, std::size_t count, bool colour) {
  out << "first examples; " << (colour ? "\x1b[32mgreen\x1b[0m" : "[[brackets]]") << " is what is trained on:\n";
  for (std::size_t i = 0; i < std::min(count, data.examples.size()); ++i) {
    const ExampleView example = data.examples[i];
    out << fmt::format("{}  {} tokens, {} with loss\n  ", place_of(data, example.file, example.line),
                       example.ids.size(), example.loss_tokens());
    show_one(out, example, tokenizer, colour);
  }
}

void show_counts(std::ostream& out, const std::string& name, const Dataset& data) {
  out << fmt::format("{}: {} examples, {} tokens, {} with loss", name,
                     with_commas(static_cast<long long>(data.examples.size())), with_commas(data.tokens),
                     with_commas(data.loss_tokens));
  std::vector<std::size_t> lengths;
  for (auto example = data.examples.begin(); example != data.examples.end(); ++example)
    lengths.push_back(static_cast<std::size_t>(example.length()));
  if (!lengths.empty()) {
    std::sort(lengths.begin(), lengths.end());
    out << fmt::format("; lengths {} to {}, median {}", lengths.front(), lengths.back(), lengths[lengths.size() / 2]);
    if (data.examples.size() > 1 && lengths.back() * 2 > static_cast<std::size_t>(data.tokens))
      out << "; warning: one example is more than half of the tokens";
  }
  out << "\n";
  if (data.straddling > 0 && !data.chat_template.empty())
    out << fmt::format("  {} tokens straddle the border between prompt and answer and count as prompt\n",
                       with_commas(data.straddling));
  if (!data.format.empty())
    out << fmt::format("  format {} ({}){}\n", data.format, data.format_reason,
                       data.chat_template.empty() ? "" : ", chat template " + data.chat_template);
}

void show_roles(std::ostream& out, const Dataset& data) {
  if (!data.roles.empty()) out << "data.train by role, what is held out included:\n";
  for (const auto& role : data.roles) {
    out << fmt::format("  {}: {} tokens, {} trained ({:.1f} %)\n", role.role, with_commas(role.tokens),
                       with_commas(role.loss_tokens),
                       100.0 * static_cast<double>(role.loss_tokens) / static_cast<double>(role.tokens));
  }
}

void show_rejects(std::ostream& out, const Dataset& data, std::size_t most) {
  for (std::size_t i = 0; i < std::min(most, data.rejects.size()); ++i)
    out << "rejected " << place_of(data, data.rejects[i].file, data.rejects[i].line) << ": " << data.rejects[i].reason
        << "\n";
  if (data.rejects.size() > most)
    out << fmt::format("... and {} more rejected lines\n",
                       with_commas(static_cast<long long>(data.rejects.size() - most)));
}

}  // namespace finetune

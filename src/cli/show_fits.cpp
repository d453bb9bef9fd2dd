#include "cli/show_fits.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "core/text.h"
#include "core/text_table.h"
#include "engine/admission.h"
#include "engine/fits.h"
#include "engine/lanes.h"
#include "engine/precision.h"
#include "models/shards.h"

namespace finetune {
namespace {

double gib(std::int64_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(std::int64_t{1} << 30);
}

std::string model_text(const DecoderOptions& m) {
  return fmt::format(
      "{}: {} parameters, {} layers of width {}, {} heads, {} of keys and values, vocabulary {}, {} positions",
      m.family, with_commas(base_parameters(m)), m.layers, with_commas(m.width), m.heads, m.kv_heads,
      with_commas(m.vocab_size), with_commas(m.max_positions));
}

// What is known of a checkpoint once its files are there.
std::string open_text(const BaseModel& model) {
  std::vector<std::string> open{"that its tensors are those that config.json asks for"};
  const bool says_dtype = model.config.contains("dtype") || model.config.contains("torch_dtype");
  open.push_back("their dtype" + (says_dtype ? " (config.json names " + dtype_name(model.file_dtype) + ")" : ""));
  if (!model.config.contains("tie_word_embeddings"))
    open.push_back(fmt::format("whether there is a head of its own (config.json does not say; {} {})",
                               model.options.family,
                               model.options.tied_head ? "ties it by default" : "has one by default"));
  return "not known without weights: " + join(open, ", ");
}

TableRow fit_row(const Fit& fit) {
  return {fit.name, fmt::format("{:.2f}", gib(fit.base_bytes)), fmt::format("{:.2f}", gib(fit.train_bytes)),
          with_commas(fit.tokens_per_pass),
          fit.trials > 0 ? fmt::format("{} side by side", fit.trials)
          : fit.trains   ? "one with train; no search"
                         : "does not fit"};
}

std::string adapters_text(const Session& session) {
  const StoreOptions options = store_options(session, 1);
  std::vector<std::string> names;
  for (const Projection p : options.targets.members()) names.emplace_back(name_of(p));
  return fmt::format("adapters of rank {} on {}", options.max_rank, join(names, ", "));
}

}  // namespace

void show_fits(std::ostream& out, const Session& session, std::size_t width) {
  const auto put = [&](const std::vector<std::string>& lines) {
    for (const std::string& line : lines) out << line << "\n";
  };
  put(wrapped_lines(model_text(session.model.checkpoint.options), width));
  if (!has_weights(session.config.model.path)) put(wrapped_lines(open_text(session.model.checkpoint), width));
  for (const MemoryShare& share : memory_shares(session.model.devices, session.free_memory))
    out << fmt::format("{} has {:.2f} GiB free", share.device.str(), gib(share.free)) << "\n";
  if (!session.config.train.full()) put(wrapped_lines(adapters_text(session), width));
  const TableColumn columns[] = {{"what fits", true}, {"base GiB"}, {"one trial GiB"}, {"a pass"}, {"trials", true}};
  std::vector<TableRow> rows;
  for (const Fit& fit : what_fits(session)) rows.push_back(fit_row(fit));
  put(table_lines(columns, rows, width));
}

nlohmann::ordered_json fits_json(const Session& session) {
  auto list = nlohmann::ordered_json::array();
  for (const Fit& fit : what_fits(session))
    list.push_back({{"name", fit.name},
                    {"base_bytes", fit.base_bytes},
                    {"train_bytes", fit.train_bytes},
                    {"tokens_per_pass", fit.tokens_per_pass},
                    {"trains", fit.trains},
                    {"trials", fit.trials}});
  return {{"parameters", base_parameters(session.model.checkpoint.options)}, {"fits", list}};
}

}  // namespace finetune

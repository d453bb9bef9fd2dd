#include "config/fields.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/search_fields.h"
#include "core/error.h"
#include "core/number.h"
#include "core/text.h"

namespace finetune {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMany = std::int64_t{1} << 40;

[[noreturn]] void wrong(const std::string& key, const std::string& expected, const ConfigNode& node) {
  const std::string found = node.kind == ConfigNode::Kind::null   ? "nothing"
                            : node.kind == ConfigNode::Kind::list ? "a list"
                            : node.kind == ConfigNode::Kind::map  ? "a map"
                                                                  : node.text.substr(0, 80);
  throw bad_input("", key + " must be " + expected + ", not " + (found.empty() ? "empty" : found));
}

std::string text_of(const std::string& key, const ConfigNode& node) {
  if (node.kind != ConfigNode::Kind::scalar) wrong(key, "a text", node);
  return std::holds_alternative<std::string>(node.value) ? std::get<std::string>(node.value) : node.text;
}

struct Range {
  double low = -kInfinity, high = kInfinity;
  bool open_low = false, open_high = false;  // the end itself is not allowed
  std::string text() const {
    const std::string from = low == -kInfinity ? "" : (open_low ? "above " : "at least ") + number_to_text(low);
    const std::string to = high == kInfinity ? "" : (open_high ? "below " : "at most ") + number_to_text(high);
    return from + (from.empty() || to.empty() ? "" : " and ") + to;
  }
  bool holds(double v) const {
    return std::isfinite(v) && (open_low ? v > low : v >= low) && (open_high ? v < high : v <= high);
  }
};

double number_of(const std::string& key, const ConfigNode& node, const Range& range) {
  const bool number = node.kind == ConfigNode::Kind::scalar &&
                      (std::holds_alternative<double>(node.value) || std::holds_alternative<std::int64_t>(node.value));
  const std::string expected = "a number" + (range.text().empty() ? "" : " " + range.text());
  if (!number || !range.holds(as_number(node.value))) wrong(key, expected, node);
  return as_number(node.value);
}

std::int64_t whole_of(const std::string& key, const ConfigNode& node, std::int64_t low, std::int64_t high) {
  const std::string expected = "a whole number of at least " + std::to_string(low) +
                               (high < kMany ? " and at most " + std::to_string(high) : "");
  if (node.kind != ConfigNode::Kind::scalar) wrong(key, expected, node);
  std::int64_t value = 0;
  if (const auto* whole = std::get_if<std::int64_t>(&node.value)) {
    value = *whole;
  } else if (const auto* real = std::get_if<double>(&node.value);
             real && *real == std::floor(*real) && std::fabs(*real) < 1e15) {
    value = static_cast<std::int64_t>(*real);
  } else {
    wrong(key, expected, node);
  }
  if (value < low || value > high) wrong(key, expected, node);
  return value;
}

std::vector<std::string> texts_of(const std::string& key, const ConfigNode& node) {
  std::vector<std::string> texts;
  if (node.kind == ConfigNode::Kind::scalar) return {text_of(key, node)};
  if (node.kind != ConfigNode::Kind::list) wrong(key, "a text or a list of texts", node);
  for (const auto& item : node.items) texts.push_back(text_of(key, item));
  return texts;
}

ConfigNode list_node(const std::vector<std::string>& texts) {
  ConfigNode node;
  node.kind = ConfigNode::Kind::list;
  for (const auto& text : texts) node.items.push_back(ConfigNode::of(text));
  return node;
}

// Makers of fields. `at` gives the member.
template <typename At>
Field text_field(const std::string& key, const std::string& help, At at, std::vector<std::string> allowed = {}) {
  return {key, help + (allowed.empty() ? "" : ": " + join(allowed, "|")),
          [=](RunConfig& c, const ConfigNode& n) {
            const std::string text = text_of(key, n);
            if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
              throw bad_input("",
                              key + " is " + text + "; allowed: " + join(allowed, ", ") + did_you_mean(text, allowed));
            }
            at(c) = text;
          },
          [=](const RunConfig& c) { return ConfigNode::of(at(const_cast<RunConfig&>(c))); }};
}

template <typename At>
Field optional_text_field(const std::string& key, const std::string& help, At at) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind == ConfigNode::Kind::null)
              at(c).reset();
            else
              at(c) = text_of(key, n);
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& value = at(const_cast<RunConfig&>(c));
            if (!value) return std::nullopt;
            return ConfigNode::of(*value);
          }};
}

template <typename At>
Field number_field(const std::string& key, const std::string& help, At at, Range range) {
  return {key, help, [=](RunConfig& c, const ConfigNode& n) { at(c) = number_of(key, n, range); },
          [=](const RunConfig& c) { return ConfigNode::of(at(const_cast<RunConfig&>(c))); }};
}

template <typename At>
Field optional_number_field(const std::string& key, const std::string& help, At at, Range range) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind == ConfigNode::Kind::null)
              at(c).reset();
            else
              at(c) = number_of(key, n, range);
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& value = at(const_cast<RunConfig&>(c));
            if (!value) return std::nullopt;
            return ConfigNode::of(*value);
          }};
}

template <typename At>
Field whole_field(const std::string& key, const std::string& help, At at, std::int64_t low, std::int64_t high = kMany) {
  return {key, help, [=](RunConfig& c, const ConfigNode& n) { at(c) = whole_of(key, n, low, high); },
          [=](const RunConfig& c) { return ConfigNode::of(at(const_cast<RunConfig&>(c))); }};
}

// A whole number, or the word that stands for its absence (auto, or null).
template <typename At>
Field optional_whole_field(const std::string& key, const std::string& help, At at, std::int64_t low,
                           const std::string& word) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind == ConfigNode::Kind::null || n.text == word)
              at(c).reset();
            else
              at(c) = whole_of(key, n, low, kMany);
          },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& value = at(const_cast<RunConfig&>(c));
            if (value) return ConfigNode::of(*value);
            if (word.empty()) return std::nullopt;
            return ConfigNode::of(word);
          }};
}

template <typename At>
Field flag_field(const std::string& key, const std::string& help, At at) {
  return {key, help,
          [=](RunConfig& c, const ConfigNode& n) {
            if (n.kind != ConfigNode::Kind::scalar || !std::holds_alternative<bool>(n.value))
              wrong(key, "true or false", n);
            at(c) = std::get<bool>(n.value);
          },
          [=](const RunConfig& c) { return ConfigNode::of(static_cast<bool>(at(const_cast<RunConfig&>(c)))); }};
}

template <typename At>
Field list_field(const std::string& key, const std::string& help, At at) {
  return {key, help, [=](RunConfig& c, const ConfigNode& n) { at(c) = texts_of(key, n); },
          [=](const RunConfig& c) -> std::optional<ConfigNode> {
            const auto& texts = at(const_cast<RunConfig&>(c));
            if (texts.empty()) return std::nullopt;
            return texts.size() == 1 ? ConfigNode::of(texts.front()) : list_node(texts);
          }};
}

// Member access without repeating const and non-const.
#define AT(member)             \
  [](RunConfig & c) -> auto& { \
    return c.member;           \
  }

std::vector<Field> model_fields() {
  return {text_field("model.path", "HuggingFace checkpoint folder", AT(model.path)),
          text_field("model.dtype", "dtype of base and activations", AT(model.dtype), {"auto", "float32", "bfloat16"}),
          optional_text_field("model.adapter", "PEFT adapter folder to start from", AT(model.adapter))};
}

Field columns_field() {
  return {"data.fields", "column names where they differ: {prompt: question, completion: answer}",
          [](RunConfig& c, const ConfigNode& n) {
            if (n.kind != ConfigNode::Kind::map) wrong("data.fields", "a map of names", n);
            c.data.fields.clear();
            for (const auto& [name, column] : n.entries) c.data.fields[name] = text_of("data.fields." + name, column);
          },
          [](const RunConfig& c) -> std::optional<ConfigNode> {
            if (c.data.fields.empty()) return std::nullopt;
            ConfigNode node;
            node.kind = ConfigNode::Kind::map;
            for (const auto& [name, column] : c.data.fields) node.entries.emplace_back(name, ConfigNode::of(column));
            return node;
          }};
}

Field valid_fraction_field() {
  return {"data.valid_fraction", "share of the training examples held out for validation",
          [](RunConfig& c, const ConfigNode& n) {
            c.data.valid_fraction = number_of("data.valid_fraction", n, {.low = 0, .high = 1, .open_high = true});
            c.data.valid_fraction_given = true;
          },
          [](const RunConfig& c) -> std::optional<ConfigNode> {
            if (!c.data.valid_fraction_given && c.data.valid_fraction == 0) return std::nullopt;
            return ConfigNode::of(c.data.valid_fraction);
          }};
}

std::vector<Field> data_fields() {
  return {
      list_field("data.train", "training files: .jsonl .json .csv .tsv .txt", AT(data.train)),
      list_field("data.valid", "validation files", AT(data.valid)),
      valid_fraction_field(),
      text_field("data.format", "what a record is", AT(data.format),
                 {"auto", "text", "prompt_completion", "alpaca", "messages", "sharegpt"}),
      columns_field(),
      optional_text_field("data.prompt", "pattern over columns: \"Review: {sentence}\\nSentiment:\"", AT(data.prompt)),
      optional_text_field("data.completion", "pattern over columns: \" {label}\"", AT(data.completion)),
      text_field("data.template", "chat template: auto, none or a name", AT(data.chat_template)),
      whole_field("data.max_length", "tokens of an example, special ones included", AT(data.max_length), 2, 1 << 26),
      text_field("data.truncate", "longer examples", AT(data.truncate), {"end", "drop", "error"}),
      text_field("data.train_on", "which tokens carry loss", AT(data.train_on), {"completion", "all"}),
      flag_field("data.shuffle", "a new order each epoch", AT(data.shuffle)),
      flag_field("data.append_eos", "end each example with EOS", AT(data.append_eos)),
      optional_text_field("data.separator", ".txt: examples are split at this text instead of at line ends",
                          AT(data.separator))};
}

Field targets_field() {
  return list_field("train.lora.targets", "all-linear, attention, mlp, or projection names", AT(train.lora.targets));
}

Field changes_field();

std::vector<Field> train_fields() {
  const Range share{.low = 0, .high = 1}, positive{.low = 0, .open_low = true};
  const Range below_one{.low = 0, .high = 1, .open_high = true};
  return {
      text_field("train.method", "what is trained", AT(train.method), {"lora", "full"}),
      whole_field("train.steps", "optimizer steps of a full-budget trial", AT(train.steps), 1),
      optional_number_field("train.epochs", "passes over the data, instead of steps", AT(train.epochs), positive),
      optional_whole_field("train.stop_at", "stop after this step; the schedule still spans train.steps",
                           AT(train.stop_at), 1, ""),
      whole_field("train.batch_size", "examples per optimizer step", AT(train.batch_size), 1, 1 << 24),
      number_field("train.learning_rate", "peak learning rate", AT(train.learning_rate), positive),
      text_field("train.schedule", "learning-rate schedule", AT(train.schedule),
                 {"linear", "cosine", "constant", "wsd"}),
      number_field("train.warmup_ratio", "share of the steps to warm up", AT(train.warmup_ratio), share),
      number_field("train.decay_ratio", "wsd: last share of the steps, linear to 0", AT(train.decay_ratio), share),
      number_field("train.weight_decay", "decoupled weight decay", AT(train.weight_decay), {.low = 0}),
      number_field("train.beta1", "AdamW first moment", AT(train.beta1), below_one),
      number_field("train.beta2", "AdamW second moment", AT(train.beta2), below_one),
      number_field("train.epsilon", "AdamW epsilon", AT(train.epsilon), {.low = 0}),
      number_field("train.max_grad_norm", "clip the gradient norm at this; 0 = off", AT(train.max_grad_norm),
                   {.low = 0}),
      whole_field("train.seed", "init, order and dropout", AT(train.seed), 0),
      whole_field("train.patience", "verb train: stop after N evaluations without improvement, keep the best; 0 = off",
                  AT(train.patience), 0),
      whole_field("train.lora.rank", "rank of the adapter", AT(train.lora.rank), 1, 65536),
      number_field("train.lora.alpha", "scale is alpha / rank", AT(train.lora.alpha), {}),
      number_field("train.lora.dropout", "on the adapter's input", AT(train.lora.dropout), below_one),
      targets_field(),
      flag_field("train.lora.rslora", "scale is alpha / sqrt(rank)", AT(train.lora.rslora)),
      optional_number_field("train.lora.alpha_over_rank", "instead of alpha: alpha = value x rank",
                            AT(train.lora.alpha_over_rank), {}),
      changes_field()};
}

// A hyperparameter schedule that a population found: [{step: 20, learning_rate: 1e-3}, ...].
Field changes_field() {
  return {"train.changes", "hyperparameters that change after a step: [{step: 20, learning_rate: 1e-3}]",
          [](RunConfig& c, const ConfigNode& n) {
            if (n.kind != ConfigNode::Kind::list) wrong("train.changes", "a list of maps with a step", n);
            c.train.changes.clear();
            for (const auto& item : n.items) {
              const ConfigNode* step = item.kind == ConfigNode::Kind::map ? item.find("step") : nullptr;
              if (step == nullptr) wrong("train.changes", "a list of maps with a step", item);
              HyperparameterChange change{.step = whole_of("train.changes.step", *step, 0, kMany)};
              if (!c.train.changes.empty() && change.step < c.train.changes.back().step) {
                throw bad_input("", "train.changes must be in order of their steps");
              }
              for (const auto& [name, value] : item.entries) {
                if (name == "step") continue;
                if (value.kind != ConfigNode::Kind::scalar) wrong("train.changes." + name, "a single value", value);
                RunConfig trial;
                set_key(trial, "train." + name, value);  // checks key and value
                change.params.emplace_back("train." + name, value.value);
              }
              c.train.changes.push_back(std::move(change));
            }
          },
          [](const RunConfig& c) -> std::optional<ConfigNode> {
            if (c.train.changes.empty()) return std::nullopt;
            ConfigNode list;
            list.kind = ConfigNode::Kind::list;
            for (const auto& change : c.train.changes) {
              ConfigNode item;
              item.kind = ConfigNode::Kind::map;
              item.entries.emplace_back("step", ConfigNode::of(change.step));
              for (const auto& [name, value] : change.params) {
                item.entries.emplace_back(name.starts_with("train.") ? name.substr(6) : name, ConfigNode::of(value));
              }
              list.items.push_back(std::move(item));
            }
            return list;
          }};
}

std::vector<Field> tune_fields() {
  const Range positive{.low = 0, .open_low = true};
  return {whole_field("tune.trials", "trials started", AT(tune.trials), 1, 10'000'000),
          tuner_part_field("tune.sampler", "where to look: {name: random, ...}", AT(tune.sampler)),
          tuner_part_field("tune.scheduler", "how long to go on: {name: asha, ...}", AT(tune.scheduler)),
          enqueue_field(),
          optional_text_field("tune.method",
                              "stands for sampler and scheduler: auto, bohb, mobster, optuna, SAMPLER+SCHEDULER",
                              AT(tune.method)),
          text_field("tune.metric", "what is tuned", AT(tune.metric), {"valid_loss", "perplexity", "token_accuracy"}),
          {"tune.direction", "minimize|maximize",
           [](RunConfig& c, const ConfigNode& n) {
             const std::string text = text_of("tune.direction", n);
             if (text != "minimize" && text != "maximize") {
               throw bad_input("", "tune.direction is " + text + "; allowed: minimize, maximize");
             }
             c.tune.direction = text == "minimize" ? Direction::minimize : Direction::maximize;
           },
           [](const RunConfig& c) {
             return ConfigNode::of(std::string(c.tune.direction == Direction::minimize ? "minimize" : "maximize"));
           }},
          optional_whole_field("tune.concurrent", "trials resident at once: a number or auto", AT(tune.concurrent), 1,
                               "auto"),
          optional_whole_field("tune.budget.steps", "stop the study after this many steps of all trials",
                               AT(tune.budget.steps), 1, ""),
          optional_whole_field("tune.budget.tokens", "the same in tokens", AT(tune.budget.tokens), 1, ""),
          optional_number_field("tune.budget.seconds", "the same in seconds", AT(tune.budget.seconds), positive),
          optional_number_field("tune.budget.target", "end when a completed trial's metric is at least this good",
                                AT(tune.budget.target), {}),
          optional_whole_field("tune.budget.patience", "end when N trials have ended without a better completed one",
                               AT(tune.budget.patience), 1, ""),
          whole_field("tune.seed", "of sampler and scheduler", AT(tune.seed), 0),
          whole_field("tune.steps", "asktell: full budget of a trial", AT(tune.steps), 1)};
}

std::vector<Field> run_fields() {
  return {text_field("run.out", "folder for the results", AT(run.out)),
          {"run.devices", "auto, cpu, cuda:0, or a list",
           [](RunConfig& c, const ConfigNode& n) {
             c.run.devices = texts_of("run.devices", n);
             if (c.run.devices == std::vector<std::string>{"auto"}) c.run.devices.clear();
             for (const auto& name : c.run.devices) {
               const bool gpu = name.starts_with("cuda:") && name.size() > 5 && name.size() < 9 &&
                                std::all_of(name.begin() + 5, name.end(), [](char d) { return d >= '0' && d <= '9'; });
               if (name != "cpu" && !gpu)
                 throw bad_input("", "run.devices: " + name + " is not a device; allowed: auto, cpu, cuda:N");
             }
           },
           [](const RunConfig& c) {
             return c.run.devices.empty() ? ConfigNode::of(std::string("auto")) : list_node(c.run.devices);
           }},
          text_field("run.numerics", "reproducible keeps every bit of a trial independent of its neighbours",
                     AT(run.numerics), {"reproducible", "fast"}),
          optional_whole_field("run.tokens_per_pass", "tokens of one forward and backward: a number or auto",
                               AT(run.tokens_per_pass), 8, "auto"),
          whole_field("run.eval_every", "evaluate every N steps besides milestones; 0 = off", AT(run.eval_every), 0),
          whole_field("run.save_every", "checkpoint every N steps; 0 = off", AT(run.save_every), 0)};
}
#undef AT

std::vector<std::string> keys_like(const std::string& key) {
  std::vector<std::string> keys;
  for (const auto& field : config_fields()) keys.push_back(field.key);
  for (const char* section : {"model", "data", "train", "train.lora", "search", "tune", "tune.budget", "run"})
    keys.emplace_back(section);
  // A bare name may be meant as the last part of a key: lr -> nothing, steps -> train.steps.
  if (key.find('.') == std::string::npos) {
    for (const auto& field : config_fields()) {
      if (field.key.ends_with("." + key)) return {field.key};
    }
  }
  return keys;
}

std::string nearest_key(const std::string& key) {
  const auto candidates = keys_like(key);
  if (candidates.size() == 1) return " (did you mean " + candidates.front() + "?)";
  // Compare within the section first: train.learning_rat must not find tune.something.
  const auto dot = key.rfind('.');
  if (dot != std::string::npos) {
    std::vector<std::string> siblings;
    for (const auto& candidate : candidates) {
      if (candidate.starts_with(key.substr(0, dot + 1))) siblings.push_back(candidate.substr(dot + 1));
    }
    const std::string near = nearest_name(key.substr(dot + 1), siblings);
    if (!near.empty()) return " (did you mean " + key.substr(0, dot + 1) + near + "?)";
  }
  return did_you_mean(key, candidates);
}

bool is_section(const std::string& key) {
  return std::any_of(config_fields().begin(), config_fields().end(),
                     [&](const Field& field) { return field.key.starts_with(key + "."); });
}

void set_section(RunConfig& config, const std::string& key, const ConfigNode& node) {
  if (node.kind == ConfigNode::Kind::null) return;
  if (node.kind != ConfigNode::Kind::map)
    throw bad_input("", key + " must be a map of keys, not " + node.text.substr(0, 80));
  for (const auto& [name, value] : node.entries) set_key(config, key + "." + name, value);
}

void set_known(RunConfig& config, const std::string& key, const ConfigNode& node) {
  for (const auto& field : config_fields()) {
    if (field.key != key) continue;
    field.set(config, node);
    config.given.push_back(key);
    return;
  }
  if (set_search_key(config, key, node) || set_tuner_part_key(config, key, node)) {
    config.given.push_back(key);
  } else if (is_section(key)) {
    set_section(config, key, node);
  } else {
    throw bad_input("", "unknown key " + key + nearest_key(key));
  }
}

}  // namespace

const std::vector<Field>& config_fields() {
  static const std::vector<Field> kFields = [] {
    std::vector<Field> all;
    for (auto list : {model_fields(), data_fields(), train_fields(), tune_fields(), run_fields()}) {
      all.insert(all.end(), list.begin(), list.end());
    }
    return all;
  }();
  return kFields;
}

void set_key(RunConfig& config, const std::string& key, const ConfigNode& node) {
  try {
    set_known(config, key, node);
  } catch (const Error& error) {
    const std::string message = error.what();
    if (node.where.empty() || message.starts_with(node.where)) throw;
    // A nested key has put its own, more exact place in front already.
    const auto colon = node.where.rfind(':');
    if (colon != std::string::npos && message.starts_with(node.where.substr(0, colon + 1))) throw;
    throw bad_input(node.where, message);
  }
}

}  // namespace finetune

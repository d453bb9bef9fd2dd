// The resolved configuration of a run (design contract, section 7): plain values with their defaults. What each key is
// called, allows and means in --help is in fields.cpp, one list per struct; parsing, printing and validation read it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/choices.h"
#include "core/memory_files.h"
#include "core/trial.h"
#include "core/value.h"

namespace finetune {

struct ModelConfig {
  std::string path;                    ///< HuggingFace checkpoint folder
  std::string dtype = "auto";          ///< auto|float32|bfloat16: of base weights, on a GPU of activations too
  Quantize quantize = Quantize::none;  ///< of the base's block projections, which stay frozen
  bool double_quantize = false;        ///< nf4: the scales of its blocks too
  std::optional<std::string> adapter;  ///< PEFT adapter folder to start from
};

/// An entry of data.train or data.valid.
struct DataSource {
  std::string path;                   ///< a file, or a folder of files (data/data_files.h)
  std::string name = {};              ///< "" of one that is a path alone
  std::optional<double> weight = {};  ///< in data.train: examples are drawn in this proportion
};

std::vector<std::string> paths_of(const std::vector<DataSource>& sources);

struct DataConfig {
  std::vector<DataSource> train;
  std::vector<DataSource> valid;
  std::map<std::string, double> weights;  ///< by name; they replace those of data.train
  double valid_fraction = 0;              ///< share of the examples held out by hash; 0 = none
  bool valid_fraction_given = false;
  std::string format = "auto";                ///< as in data_fields.cpp
  std::map<std::string, std::string> fields;  ///< our name -> column name
  std::optional<std::string> prompt;          ///< pattern over columns: "Review: {sentence}\nSentiment:"
  std::optional<std::string> completion;      ///< likewise: " {label}"
  std::string chat_template = "auto";         ///< key `template`: auto|none|NAME|FILE.jinja
  std::string date;                           ///< YYYY-MM-DD for strftime_now; "" = the day of the run
  std::int64_t max_length = 1024;             ///< tokens, special ones included
  std::string truncate = "end";               ///< end|drop|error
  std::string train_on = "completion";        ///< completion|all
  bool shuffle = true;
  bool append_eos = true;
  std::optional<std::string> separator;  ///< .txt: examples are split at this instead of at line ends
  std::vector<std::string> test;         ///< scored once, at the end
  std::vector<std::string> labels;       ///< completions to choose from; empty: those of the training data
  std::optional<std::string> answer;     ///< expression with one group: what of a text is compared
  MemoryFiles memory;                    ///< no key: texts of paths that begin with memory:
};

struct LoraConfig {
  std::int64_t rank = 16;
  double alpha = 32;
  double dropout = 0;
  std::vector<std::string> targets = {"all-linear"};  ///< all-linear|attention|mlp, projection names or re:PATTERN
  bool rslora = false;
  LoraInit init = LoraInit::standard;
  bool dora = false;
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;  ///< of module paths -> rank, the first that matches
  std::vector<std::pair<std::string, double>> alpha_pattern;
  std::vector<std::string> modules_to_save;  ///< embed_tokens, lm_head: trained whole beside the adapters
  double rate_ratio = 1;                     ///< LoRA+: the learning rate of b over that of a
  std::optional<double> alpha_over_rank;     ///< stands for alpha = value x rank; set when given, also by the search
};

/// A hyperparameter change that a population made (train.changes): from the step after `step` on.
struct HyperparameterChange {
  std::int64_t step = 0;
  Params params;  ///< keys below train., e.g. learning_rate
};

struct TrainConfig {
  bool full() const { return method == TrainMethod::full; }

  TrainMethod method = TrainMethod::lora;
  ObjectiveName objective = ObjectiveName::sft;
  double beta = 0.1;                    ///< how much an objective of preferences heeds likelihoods
  double gamma = 0.5;                   ///< simpo: margin that a chosen answer should have
  std::int64_t steps = 200;             ///< optimizer steps of a full-budget trial (T of the schedule)
  std::optional<double> epochs;         ///< instead of steps; turned into steps when the data is known
  std::optional<std::int64_t> stop_at;  ///< stop after this step; the schedule's horizon stays `steps`
  std::int64_t batch_size = 16;         ///< examples per optimizer step
  double learning_rate = 3e-4;
  RateSchedule schedule = RateSchedule::linear;
  double warmup_ratio = 0.03;
  double decay_ratio = 0.1;  ///< wsd: last share of the steps, linear to 0
  double weight_decay = 0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double max_grad_norm = 1.0;  ///< 0 = off
  double neftune = 0;          ///< noise on embeddings while training; 0: none
  std::int64_t seed = 0;
  std::int64_t patience = 0;  ///< verb train: evaluations without improvement; 0 = off
  LoraConfig lora;
  std::vector<HyperparameterChange> changes;
  /// No key: of every entry of data.train, its share of the draws; follows from weights. Empty: there are none, and
  /// every example comes once an epoch.
  std::vector<double> shares;
};

/// One searched parameter. Either choices or a range.
struct SearchParameter {
  std::string name;            ///< dotted key (train.learning_rate), or any name in asktell
  std::vector<Value> choices;  ///< not empty: categorical, or ordinal
  bool ordinal = false;        ///< key `type: ordinal`: the choices are in their order
  double low = 0, high = 0;
  bool log = false;
  bool integer = false;  ///< key `int`, or implied where the key itself holds whole numbers
  std::optional<double> step;
  std::optional<Value> start;  ///< the user's guess: what the first trial has
  std::vector<std::pair<std::string, std::vector<Value>>>
      when;  ///< active only if each named one has one of the values
};

/// A sampler or scheduler by name, its options beside it (checked by the tuners' registry).
struct TunerPart {
  std::string name;
  Params options;
};

struct BudgetConfig {
  std::optional<std::int64_t> steps, tokens;
  std::optional<double> seconds;
  std::optional<double> target;          ///< end when a completed trial's metric is at least this good
  std::optional<std::int64_t> patience;  ///< end when this many trials have ended since the best completed one
};

/// tune.generate: how texts are made that metrics judge.
struct GenerateConfig {
  std::int64_t max_new_tokens = 128;
  std::int64_t examples = 200;    ///< validation rows that are continued, at most
  std::vector<std::string> stop;  ///< a text ends before the first of these
};

/// tune.confirm: the best configurations are trained again with other seeds.
struct ConfirmConfig {
  std::int64_t top = 3, seeds = 2;
};

struct TuneConfig {
  std::int64_t trials = 32;
  std::optional<TunerPart> sampler, scheduler;  ///< absent: the program chooses
  std::optional<std::string> method;            ///< stands for sampler + scheduler
  bool method_is_auto = false;                  ///< not a key: sampler and scheduler were chosen by `method: auto`
  std::vector<Params> enqueue;                  ///< trials that come first; some parameters or all
  std::vector<std::string> warm_start;          ///< databases of earlier studies: FILE or FILE#NAME
  std::string metric = "valid_loss";
  Direction direction = Direction::minimize;  ///< the metric's own; in asktell the user's
  std::optional<std::string> rung_metric;     ///< valid_loss|same; absent: valid_loss where the metric needs texts
  GenerateConfig generate;
  std::vector<std::string> command;  ///< program and arguments, for the metric `command`
  double command_timeout = 60;       ///< seconds
  /// Of a trial's time, what evaluations may take; absent: 0.2, and no limit to the loss's where that is tuned.
  std::optional<double> eval_share;
  std::optional<ConfirmConfig> confirm = ConfirmConfig{};  ///< absent: off
  bool confirm_is_auto = true;                             ///< on only where it costs little
  double audit = 0;                                        ///< share of stopped trials that run on to the end
  bool ablation = false;                   ///< train the path from the default configuration to the best
  std::optional<std::int64_t> concurrent;  ///< trials resident at once; absent = auto
  BudgetConfig budget;
  std::int64_t seed = 0;
  std::int64_t steps = 1;  ///< asktell only: full budget per trial
};

struct OutputConfig {  // key `run`
  std::string out;
  std::vector<std::string> devices;             ///< empty = auto; cpu, cuda:0 ...
  std::optional<std::int64_t> lanes;            ///< per device; absent = as many as pay
  std::optional<std::int64_t> threads;          ///< of the processor; absent = as many as it has
  std::string numerics = "reproducible";        ///< reproducible|fast
  std::vector<std::string> kernels = {"auto"};  ///< auto|composition|written, or operations that get theirs
  std::optional<std::int64_t> tokens_per_pass;  ///< absent = auto
  std::int64_t eval_every = 0;                  ///< steps; 0 = milestones and the end only
  std::vector<std::string> metrics;             ///< computed besides tune.metric
  bool profile = false;                         ///< say at the end where the time went
  std::optional<std::int64_t> save_every;       ///< rounds; 0 = never; absent = at rungs and about once a minute
};

struct RecordConfig {              // key `study`
  std::optional<std::string> url;  ///< the PostgreSQL database that holds the study; nothing: study.db in run.out
  std::int64_t worker = 0;         ///< of those who share it, which one this is; the program decides it
};

struct RunConfig {
  ModelConfig model;
  DataConfig data;
  TrainConfig train;
  std::vector<SearchParameter> search;
  TuneConfig tune;
  OutputConfig run;
  RecordConfig study;
  /// Dotted keys that were given by file, --set or flag (not defaulted).
  std::vector<std::string> given;
  bool is_given(const std::string& key) const;
};

}  // namespace finetune

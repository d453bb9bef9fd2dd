// Every bad input ends with exit code 2 and one line that names the culprit, and leaves nothing behind. Runs the
// program.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "cli/program.h"

namespace finetune::testing {
namespace {

struct Case {
  std::string name;
  std::function<std::string(const Fixture&)> arrange;  ///< breaks something; gives the arguments
  std::string names;                                   ///< what the message must hold
};

Case arguments(const std::string& name, const std::string& text, const std::string& names) {
  return {name, [text](const Fixture&) { return text; }, names};
}
Case setting(const std::string& name, const std::string& text, const std::string& names) {
  return {name, [text](const Fixture& f) { return f.tune("--set '" + text + "'"); }, names};
}
Case config(const std::string& name, const std::string& yaml, const std::string& names) {
  return {name,
          [yaml](const Fixture& f) {
            f.write("c.yaml", yaml);
            return f.tune("--config '" + f.path("c.yaml") + "'");
          },
          names};
}
Case data(const std::string& name, const std::string& file, const std::string& content, const std::string& names) {
  return {name,
          [=](const Fixture& f) {
            f.write(file, content);
            return f.tune_with(file, "out");
          },
          names};
}
Case model(const std::string& name, const std::string& from, const std::string& to, const std::string& names) {
  return {name,
          [=](const Fixture& f) {
            f.edit("model/config.json", from, to);
            return f.tune();
          },
          names};
}
Case edited(const std::string& name, const std::string& file, const std::string& from, const std::string& to,
            const std::string& names) {
  return {name,
          [=](const Fixture& f) {
            f.edit(file, from, to);
            return f.tune();
          },
          names};
}
Case adapter(const std::string& name, const std::string& from, const std::string& to, const std::string& names) {
  return {name,
          [=](const Fixture& f) {
            f.edit("adapter/adapter_config.json", from, to);
            return f.tune("--set model.adapter='" + f.path("adapter") + "'");
          },
          names};
}
// With a model whose lm_head is its embed_tokens.
Case tied(const std::string& name, const std::string& text, const std::string& names) {
  return {name,
          [=](const Fixture& f) {
            for (const std::string file : {"config.json", "model.safetensors"})
              f.write("model/" + file, read_file((golden_path("models/qwen2") / file).string()));
            return f.tune(text);
          },
          names};
}
Case weights(const std::string& name, const std::function<void(std::string&)>& damage, const std::string& names) {
  return {name,
          [=](const Fixture& f) {
            std::string bytes = f.read("model/model.safetensors");
            damage(bytes);
            f.write("model/model.safetensors", bytes);
            return f.tune();
          },
          names};
}

bool reads_parquet() {
  return fs::exists(build_dir() + "/libfinetune_parquet.so");
}

std::string deep(char open, int times) {
  return std::string(static_cast<std::size_t>(times), open);
}

std::vector<Case> all_cases() {
  return {
      arguments("unknown_verb", "tuen", "did you mean tune"),
      arguments("unknown_flag", "--modle x", "did you mean --model"),
      arguments("flag_without_value", "--model", "--model"),
      arguments("stray_word", "tune bananas", "bananas"),
      arguments("malformed_set", "--set train.steps", "KEY=VALUE"),
      arguments("missing_model", "tune --train x.jsonl --out o", "--model"),
      arguments("missing_train", "tune --model m --out o", "--train"),
      arguments("missing_out", "tune --model m --train x.jsonl", "--out"),
      arguments("missing_data", "eval --model m", "--data"),
      arguments("missing_adapter", "export --model m --out o", "--adapter"),
      arguments("report_without_folder", "report", "report"),
      arguments("report_no_folder", "report /nowhere/at/all", "/nowhere/at/all"),
      {"report_no_run", [](const Fixture& f) { return "report '" + f.path("model") + "'"; }, "run.yaml"},
      arguments("resume_without_folder", "resume", "resume"),
      arguments("resume_no_folder", "resume /nowhere/at/all", "/nowhere/at/all"),
      {"resume_no_run", [](const Fixture& f) { return "resume '" + f.path("model") + "'"; }, "run.yaml"},
      setting("save_every_word", "run.save_every=often", "run.save_every"),
      setting("save_every_negative", "run.save_every=-1", "run.save_every"),
      setting("threads_none", "run.threads=0", "run.threads"),
      setting("threads_too_many", "run.threads=100000", "run.threads"),
      {"model_missing",
       [](const Fixture& f) {
         fs::remove_all(f.path("model"));
         return f.tune();
       },
       "--model"},
      {"model_is_a_file",
       [](const Fixture& f) {
         fs::remove_all(f.path("model"));
         f.write("model", "x");
         return f.tune();
       },
       "--model"},
      {"train_missing",
       [](const Fixture& f) {
         fs::remove(f.path("train.jsonl"));
         return f.tune();
       },
       "train.jsonl"},
      {"train_is_a_folder", [](const Fixture& f) { return f.tune_with("model", "out"); }, "model"},
      {"out_not_empty",
       [](const Fixture& f) {
         fs::create_directories(f.path("out"));
         f.write("out/precious", "x");
         return f.tune();
       },
       "--overwrite"},
      {"out_is_a_file",
       [](const Fixture& f) {
         f.write("out", "x");
         return f.tune();
       },
       "--out"},
      {"out_below_a_file",
       [](const Fixture& f) {
         f.write("file", "x");
         return f.tune_with("train.jsonl", "file/out");
       },
       "--out"},
      setting("unknown_key", "train.learnin_rate=1", "train.learning_rate"),
      setting("unknown_section", "trian.steps=1", "trian.steps"),
      setting("steps_zero", "train.steps=0", "train.steps"),
      setting("steps_text", "train.steps=many", "train.steps"),
      setting("steps_fraction", "train.steps=1.5", "train.steps"),
      setting("rate_negative", "train.learning_rate=-1", "train.learning_rate"),
      setting("rate_zero", "train.learning_rate=0", "train.learning_rate"),
      setting("rate_infinite", "train.learning_rate=.inf", "train.learning_rate"),
      setting("rate_nan", "train.learning_rate=.nan", "train.learning_rate"),
      setting("wrong_choice", "train.schedule=cosin", "linear, cosine, constant, wsd"),
      setting("flag_as_text", "data.shuffle=yes", "data.shuffle"),
      setting("dropout_one", "train.lora.dropout=1", "train.lora.dropout"),
      setting("rank_zero", "train.lora.rank=0", "train.lora.rank"),
      setting("unknown_target", "train.lora.targets=w_proj", "q_proj"),
      setting("unknown_device", "run.devices=tpu", "run.devices"),
      setting("device_not_there", "run.devices=cuda:99", "cuda:99"),
      setting("unknown_metric", "tune.metric=bleu", "valid_loss"),
      setting("direction_against_the_metric", "tune.direction=maximize", "valid_loss is better the lower"),
      {"accuracy_minimized",
       [](const Fixture& f) { return f.tune("--set tune.metric=token_accuracy --set tune.direction=minimize"); },
       "token_accuracy is better the higher"},
      setting("unknown_logged_metric", "run.metrics=[bleu]", "run.metrics"),
      setting("labels_nobody_reads", "data.labels=[a, b]", "label_accuracy, macro_f1, multiple_choice"),
      setting("answer_nobody_reads", "data.answer=(a)", "exact_match, regex_match"),
      setting("texts_nobody_reads", "tune.generate.max_new_tokens=3", "tune.generate.max_new_tokens"),
      setting("command_nobody_runs", "tune.command=judge", "tune.command"),
      setting("rung_metric", "tune.rung_metric=loss", "valid_loss, same"),
      setting("confirm_nobody", "tune.confirm.top=0", "tune.confirm.top"),
      setting("confirm_text", "tune.confirm=yes", "tune.confirm"),
      setting("audit_above_one", "tune.audit=1.5", "tune.audit"),
      {"threshold_of_a_metric_that_rungs_lack",
       [](const Fixture& f) {
         return f.tune("--set tune.metric=exact_match --set 'tune.scheduler={name: threshold, lower: 0.1}'");
       },
       "tune.rung_metric: same"},
      {"labels_twice",
       [](const Fixture& f) { return f.tune("--set tune.metric=label_accuracy --set 'data.labels=[d, e, d]'"); },
       "data.labels has d twice"},
      {"label_alone",
       [](const Fixture& f) { return f.tune("--set tune.metric=label_accuracy --set 'data.labels=[d]'"); },
       "data.labels has a single label"},
      {"command_that_is_not_there",
       [](const Fixture& f) {
         return f.tune("--set tune.metric=command --set tune.direction=minimize --set tune.command=/no/judge");
       },
       "/no/judge is not there"},
      setting("one_label", "tune.metric=label_accuracy", "has a single completion"),
      {"command_without_direction",
       [](const Fixture& f) { return f.tune("--set tune.metric=command --set tune.command=judge"); },
       "needs tune.direction: minimize or maximize"},
      {"command_without_program",
       [](const Fixture& f) { return f.tune("--set tune.metric=command --set tune.direction=minimize"); },
       "needs tune.command"},
      {"answer_without_group",
       [](const Fixture& f) { return f.tune("--set tune.metric=exact_match --set data.answer=abc"); }, "has 0 groups"},
      {"answer_that_is_nowhere",
       [](const Fixture& f) { return f.tune("--set tune.metric=exact_match --set 'data.answer=(#.)'"); },
       "data.answer"},
      {"label_that_is_none",
       [](const Fixture& f) { return f.tune("--set tune.metric=label_accuracy --set 'data.labels=[a, b]'"); },
       "is none of the labels a, b"},
      {"label_of_nothing",
       [](const Fixture& f) { return f.tune("--set tune.metric=macro_f1 --set 'data.labels=[a, \" \"]'"); },
       "data.labels has an empty label"},
      {"choices_of_no_row", [](const Fixture& f) { return f.tune("--set run.metrics=[multiple_choice]"); },
       "multiple_choice: data.train has a single completion"},
      {"pb2_of_a_metric_that_rungs_lack",
       [](const Fixture& f) { return f.tune("--set tune.metric=exact_match --set tune.scheduler=pb2"); },
       "tune.rung_metric: same"},
      {"test_data_of_a_training_run",
       [](const Fixture& f) { return "train " + f.tune("--set 'data.test=" + f.path("train.jsonl") + "'"); },
       "data.test"},
      setting("tune_without_validation", "data.valid_fraction=0", "--valid"),
      {"patience_without_validation", [](const Fixture& f) { return "train " + f.tune("--set train.patience=2"); },
       "train.patience"},
      setting("unknown_sampler", "tune.sampler=randon", "random"),
      setting("unknown_scheduler", "tune.scheduler=ashaa", "asha"),
      setting("unknown_scheduler_option", "tune.scheduler={name: asha, bogus: 1}", "tune.scheduler.bogus"),
      setting("scheduler_option_range", "tune.scheduler={name: asha, reduction_factor: 1}", "reduction_factor"),
      setting("min_steps_above_budget", "tune.scheduler={name: asha, min_steps: 99}", "min_steps"),
      setting("grid_over_continuum", "tune.sampler=grid", "search.train.learning_rate"),
      setting("pbt_rank", "tune.scheduler={name: pbt, mutate: [train.lora.rank]}", "mutate"),
      setting("search_unknown_key", "search.train.bogus={low: 0, high: 1}", "train.bogus"),
      setting("search_outside_train", "search.tune.trials={low: 1, high: 2, int: true}", "tune.trials"),
      setting("search_low_above_high", "search.train.learning_rate={low: 2, high: 1}", "search.train.learning_rate"),
      setting("search_log_zero", "search.train.learning_rate={low: 0, high: 1, log: true}", "log"),
      setting("search_no_range", "search.train.learning_rate={low: 1e-4}", "high"),
      setting("search_bad_option", "search.train.learning_rate={low: 1e-4, hihg: 1}", "hihg"),
      setting("search_value_not_allowed", "search.train.lora.rank={choices: [8, 0]}", "train.lora.rank"),
      setting("search_whole_as_real", "search.train.batch_size={low: 1, high: 4}", "int: true"),
      setting("objective_unknown", "train.objective=ppo", "train.objective is ppo"),
      {"dora_dropout",
       [](const Fixture& f) { return f.tune("--set train.lora.dora=true --set train.lora.dropout=0.1"); },
       "train.lora.dora and train.lora.dropout above 0"},
      {"dora_dropout_searched",
       [](const Fixture& f) {
         return f.tune(
             "--set 'search.train.lora.dora={choices: [false, true]}' --set 'search.train.lora.dropout={low: 0, high: "
             "0.2}'");
       },
       "train.lora.dora and train.lora.dropout above 0"},
      {"pissa_dropout",
       [](const Fixture& f) { return f.tune("--set train.lora.init=pissa --set train.lora.dropout=0.1"); },
       "train.lora.init: pissa and train.lora.dropout above 0"},
      {"pissa_dora", [](const Fixture& f) { return f.tune("--set train.lora.init=pissa --set train.lora.dora=true"); },
       "train.lora.dora and train.lora.init: pissa"},
      {"pissa_adapter",
       [](const Fixture& f) {
         return f.tune("--set train.lora.init=pissa --set model.adapter='" + f.path("adapter") + "'");
       },
       "train.lora.init conflicts with model.adapter"},
      {"adapter_rank_searched",
       [](const Fixture& f) {
         return f.tune("--set 'search.train.lora.rank={choices: [4, 8]}' --set model.adapter='" + f.path("adapter") +
                       "'");
       },
       "search.train.lora.rank conflicts with model.adapter"},
      setting("init_unknown", "train.lora.init=olora", "train.lora.init is olora; allowed: default, pissa"),
      setting("rate_ratio_zero", "train.lora.rate_ratio=0", "train.lora.rate_ratio"),
      setting("neftune_negative", "train.neftune=-1", "train.neftune"),
      setting("targets_pattern", "train.lora.targets=[\"re:model.(\"]", "train.lora.targets is not a valid pattern"),
      setting("targets_pattern_of_nothing", "train.lora.targets=[\"re:h.*\"]", "train.lora.targets matches nothing"),
      setting("beta_not_positive", "train.beta=0", "train.beta"),
      setting("beta_of_sft", "train.beta=0.3", "train.beta has no meaning with train.objective: sft"),
      setting("gamma_of_dpo", "train.objective=dpo' --set 'train.gamma=1", "train.gamma has no meaning"),
      setting("search_objective", "search.train.objective={choices: [dpo, orpo]}", "cannot be searched"),
      setting("texts_under_dpo", "train.objective=dpo", "learns from rows with chosen and rejected"),
      setting("accuracy_of_tokens_under_dpo", "train.objective=dpo' --set 'tune.metric=token_accuracy",
              "the metric token_accuracy has no meaning"),
      setting("perplexity_beside_dpo", "train.objective=dpo' --set 'run.metrics=[perplexity]", "perplexity"),
      setting("preference_metric_of_sft", "tune.metric=preference_accuracy", "preference_accuracy has no meaning"),
      setting("all_trained_under_dpo", "train.objective=dpo' --set 'data.train_on=all", "data.train_on: all"),
      setting("pattern_under_dpo", "train.objective=dpo' --set 'data.prompt={q}", "data.prompt has no meaning"),
      setting("kto_alone", "train.objective=kto' --set 'train.batch_size=1", "train.batch_size is 1"),
      data("preferences_under_sft", "pairs.jsonl", R"({"prompt": "a", "chosen": "b", "rejected": "c"})",
           "pairs.jsonl:1"),
      {"method_and_sampler",
       [](const Fixture& f) { return f.tune("--set tune.method=auto --set tune.sampler=random"); }, "tune.method"},
      setting("unknown_method", "tune.method=magic", "tune.method"),
      {"valid_twice", [](const Fixture& f) { return f.tune("--set 'data.valid=[x]' --set data.valid_fraction=0.1"); },
       "valid_fraction"},
      config("yaml_syntax", "train: {steps: 3\n", "c.yaml"),
      config("yaml_repeated_key", "train: {steps: 3}\ntrain: {steps: 4}\n", "c.yaml:2"),
      config("yaml_unknown_key", "train:\n  steps: 3\n  stpes: 4\n", "c.yaml:3"),
      config("yaml_alias", "train: &a {steps: 3}\ntune: *a\n", "c.yaml"),
      config("yaml_deep", deep('[', 500), "c.yaml"),
      config("yaml_list", "- 1\n- 2\n", "c.yaml"),
      config("yaml_not_utf8", "train: {schedule: \xff}\n", "UTF-8"),
      config("json_repeated_key", R"({"train": {"steps": 3, "steps": 4}})", "steps"),
      config("json_deep", R"({"train": )" + deep('[', 5000), "c.yaml"),
      data("jsonl_bad_line", "bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \n", "bad.jsonl:2"),
      data("jsonl_missing_field", "bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n\n{\"prompt\": \"a\"}\n",
           "bad.jsonl:3"),
      data("jsonl_repeated_key", "bad.jsonl", "{\"prompt\": \"a\", \"prompt\": \"b\", \"completion\": \"c\"}\n",
           "bad.jsonl:1"),
      data("jsonl_not_utf8", "bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"\xff\"}\n", "bad.jsonl:1"),
      data("jsonl_lone_surrogate", "bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"\\ud800\"}\n", "bad.jsonl:1"),
      data("jsonl_deep", "bad.jsonl", "{\"prompt\": " + deep('[', 10000) + "\n", "bad.jsonl:1"),
      data("jsonl_unknown_columns", "bad.jsonl", "{\"q\": \"a\", \"r\": \"b\"}\n", "q, r"),
      data("jsonl_empty", "bad.jsonl", "", "no usable example"),
      data("csv_unclosed_quote", "bad.csv", "prompt,completion\n\"a,b\n", "bad.csv:2"),
      data("csv_columns", "bad.csv", "prompt,completion\na,b,c\n", "bad.csv:2"),
      data("tsv_columns", "bad.tsv", "prompt\tcompletion\nonly\n", "bad.tsv:2"),
      data("json_not_a_list", "bad.json", "{\"prompt\": \"a\"}", "bad.json"),
      data("parquet", "bad.parquet", "PAR1", reads_parquet() ? "is no Parquet file" : "setup.sh --parquet"),
      data("parquet_columns", "bad.parquet", read_file(golden_path("parquet/columns.parquet")),
           reads_parquet() ? "q, r" : "setup.sh --parquet"),
      {"folder_empty",
       [](const Fixture& f) {
         fs::create_directories(f.path("nothing"));
         return f.tune_with("nothing", "out");
       },
       "nothing: holds no .jsonl"},
      {"folder_saved_to_disk",
       [](const Fixture& f) {
         fs::create_directories(f.path("saved"));
         f.write("saved/data-00000-of-00001.arrow", "x");
         f.write("saved/state.json", "{}");
         return f.tune_with("saved", "out");
       },
       "saved: is a folder of datasets.save_to_disk"},
      setting("source_weight", "data.train=[{path: a.jsonl, weight: 0}]",
              "data.train[0].weight must be a number above 0"),
      setting("source_names", "data.train=[{path: a/x.jsonl}, {path: b/x.jsonl}]", "two entries have the name x"),
      setting("weight_of_nobody", "data.weights.code=2", "data.weights.code: no entry of data.train has this name"),
      setting("search_weight_of_nobody", "search.data.weights.code={low: 1, high: 2}", "search.data.weights.code"),
      data("unknown_ending", "bad.xyz", "x", ".jsonl"),
      data("chat_without_template", "bad.jsonl", R"({"messages": [{"role": "user", "content": "x"}]})",
           "no chat template"),
      model("config_not_json", "{", "x{", "config.json"),
      model("config_family", "\"llama\"", "\"gpt9\"", "llama, mistral"),
      model("config_huge_width", "\"hidden_size\": 24", "\"hidden_size\": 99999999999", "hidden_size"),
      model("config_negative_layers", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": -2", "num_hidden_layers"),
      model("config_heads", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 4", "num_key_value_heads"),
      model("config_text_width", "\"hidden_size\": 24", "\"hidden_size\": \"wide\"", "hidden_size"),
      model("config_activation", "\"silu\"", "\"gelu\"", "hidden_act"),
      model("config_wrong_width", "\"intermediate_size\": 40", "\"intermediate_size\": 41", "mlp"),
      model("config_more_layers", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "model.layers.2"),
      model("config_fewer_layers", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "model.layers.1"),
      weights(
          "weights_truncated", [](std::string& b) { b.resize(b.size() / 2); }, "model.safetensors"),
      weights(
          "weights_trailing", [](std::string& b) { b += "xx"; }, "model.safetensors"),
      weights(
          "weights_huge_header", [](std::string& b) { b[7] = 0x7f; }, "model.safetensors"),
      weights(
          "weights_empty", [](std::string& b) { b.clear(); }, "model.safetensors"),
      weights(
          "weights_not_json", [](std::string& b) { b[9] = '?'; }, "model.safetensors"),
      weights(
          "weights_nan",
          [](std::string& b) {
            const float nan = __builtin_nanf("");
            std::memcpy(b.data() + b.size() - 4, &nan, 4);
          },
          "NaN"),
      {"weights_missing",
       [](const Fixture& f) {
         fs::remove(f.path("model/model.safetensors"));
         return f.tune();
       },
       "model.safetensors"},
      {"weights_pickle",
       [](const Fixture& f) {
         fs::rename(f.path("model/model.safetensors"), f.path("model/pytorch_model.bin"));
         return f.tune();
       },
       "pickle"},
      {"index_traversal",
       [](const Fixture& f) {
         fs::remove(f.path("model/model.safetensors"));
         f.write("model/model.safetensors.index.json", R"({"weight_map": {"model.norm.weight": "../../etc/passwd"}})");
         return f.tune();
       },
       "index.json"},
      {"tokenizer_missing",
       [](const Fixture& f) {
         fs::remove(f.path("model/tokenizer.json"));
         return f.tune();
       },
       "tokenizer.json"},
      edited("tokenizer_bad_merge", "model/tokenizer.json", "\"merges\":[]", "\"merges\":[\"q zz\"]", "merges"),
      edited("tokenizer_type", "model/tokenizer.json", "\"BPE\"", "\"WordPiece\"", "WordPiece"),
      edited("tokenizer_id", "model/tokenizer.json", "\"a\":3", "\"a\":-3", "tokenizer.json"),
      edited("tokenizer_foreign_ids", "model/tokenizer.json", "\"c\":5", "\"c\":5000", "vocabulary"),
      {"tokenizer_deep",
       [](const Fixture& f) {
         f.write("model/tokenizer.json", "{\"normalizer\": " + deep('[', 9000));
         return f.tune();
       },
       "tokenizer.json"},
      adapter("adapter_type", "\"LORA\"", "\"IA3\"", "peft_type"),
      adapter("adapter_dora", "\"use_dora\": false", "\"use_dora\": true", "lora_magnitude_vector is missing"),
      adapter("adapter_rank", "\"r\": 8", "\"r\": 9", "lora_A"),
      adapter("adapter_saved_modules", "\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]",
              "tensor base_model.model.lm_head.weight is missing"),
      tied("saved_tied", "--set train.lora.modules_to_save=lm_head",
           "train.lora.modules_to_save names lm_head, but the model ties lm_head to embed_tokens"),
      tied("saved_tied_searched", "--set 'search.train.lora.modules_to_save={choices: [none, embed_tokens]}'",
           "train.lora.modules_to_save names embed_tokens, but the model ties"),
      {"saved_unknown", [](const Fixture& f) { return f.tune("--set train.lora.modules_to_save=lm_heads"); },
       "train.lora.modules_to_save names lm_heads; allowed: embed_tokens, lm_head (did you mean lm_head?)"},
      {"saved_with_none", [](const Fixture& f) { return f.tune("--set 'train.lora.modules_to_save=[none, lm_head]'"); },
       "train.lora.modules_to_save names none"},
      {"rank_pattern_list", [](const Fixture& f) { return f.tune("--set 'train.lora.rank_pattern=[q_proj]'"); },
       "train.lora.rank_pattern must be a map of patterns"},
      {"rank_pattern_value", [](const Fixture& f) { return f.tune("--set 'train.lora.rank_pattern={q_proj: 0}'"); },
       "train.lora.rank_pattern.q_proj"},
      {"rank_pattern_idle", [](const Fixture& f) { return f.tune("--set 'train.lora.rank_pattern={c_attn: 4}'"); },
       "train.lora.rank_pattern c_attn holds for no module that is adapted"},
      {"rank_pattern_syntax", [](const Fixture& f) { return f.tune("--set 'train.lora.rank_pattern={\"q_(\": 4}'"); },
       "train.lora: key rank_pattern is not a valid pattern"},
      {"alpha_pattern_value",
       [](const Fixture& f) { return f.tune("--set 'train.lora.alpha_pattern={q_proj: much}'"); },
       "train.lora.alpha_pattern.q_proj must be a"},
      {"rank_pattern_pissa",
       [](const Fixture& f) {
         return f.tune("--set train.lora.init=pissa --set 'train.lora.rank_pattern={q_proj: 4}'");
       },
       "train.lora.init: pissa and train.lora.rank_pattern do not go together"},
      setting("rank_with_full", "train.method=full' --set 'train.lora.rank=4",
              "train.lora.rank has no meaning with train.method: full"),
      setting("dora_with_full", "train.method=full' --set 'train.lora.dora=true",
              "train.lora.dora has no meaning with train.method: full"),
      {"adapter_with_full",
       [](const Fixture& f) {
         return f.tune("--set train.method=full --set model.adapter='" + f.path("adapter") + "'");
       },
       "model.adapter has no meaning with train.method: full"},
      setting("pissa_rank", "train.lora.init=pissa' --set 'train.lora.rank=16", "train.lora.init: pissa needs 16"),
      setting("pissa_some_rank", "train.lora.init=pissa' --set 'search.train.lora.rank={choices: [2, 16]}",
              "train.lora.init: pissa needs 16"),
      setting("set_twice", "train.seed=1' --set 'train.seed=2", "train.seed is given by --set twice; one of them"),
      {"empty_flag", [](const Fixture& f) { return f.tune("--devices ''"); }, "--devices is given, and empty"},
      {"empty_prompt", [](const Fixture& f) { return "generate --model '" + f.path("model") + "' --prompt ''"; },
       "--prompt is given, and empty"},
      {"set_and_flag", [](const Fixture& f) { return f.tune("--set tune.trials=3 --trials 2"); },
       "tune.trials is given by --trials and by --set; one of them"},
      {"switch_and_set", [](const Fixture& f) { return f.tune("--profile --set run.profile=false"); },
       "run.profile is given by --profile and by --set; one of them"},
      {"switch_with_value", [](const Fixture& f) { return f.tune("--profile=3"); },
       "--profile is a switch and takes no value: give --profile alone, or --set run.profile=true or false"},
      {"switch_with_no", [](const Fixture& f) { return f.tune("--overwrite=no"); },
       "--overwrite is a switch and takes no value: give --overwrite alone"},
      {"json_with_value", [](const Fixture& f) { return f.tune("--json=1"); }, "--json is a switch and takes no value"},
      setting("graphs_on_a_processor", "run.kernels=graphs", "run.kernels: graphs cannot be had on cpu"),
      setting("some_graphs_on_a_processor", "run.kernels=[rmsnorm, graphs]",
              "run.kernels: graphs cannot be had on cpu"),
      {"eval_without_loss",
       [](const Fixture& f) {
         f.write("prompts.jsonl", R"({"prompt": "abcdefghijklmnop", "completion": "q"})");
         return "eval --model '" + f.path("model") + "' --data '" + f.path("prompts.jsonl") +
                "' --set data.max_length=4";
       },
       "prompts.jsonl: data.valid has no token that carries loss"},
      {"check_of_cut_weights",
       [](const Fixture& f) {
         fs::resize_file(f.path("model/model.safetensors"), 2000);
         return "check --model '" + f.path("model") + "'";
       },
       "model.safetensors"},
      {"check_of_other_weights",
       [](const Fixture& f) {
         std::string config = read_file(f.path("model/config.json"));
         const auto at = config.find("\"num_hidden_layers\": ") + 21;
         config[at] = static_cast<char>(config[at] - 1);
         f.write("model/config.json", config);
         return "check --model '" + f.path("model") + "'";
       },
       "does not belong to a llama model of this config.json"},
      {"adapter_conflict",
       [](const Fixture& f) {
         return f.tune("--set model.adapter='" + f.path("adapter") + "' --set train.lora.rank=4");
       },
       "train.lora.rank"},
      {"quantize_unknown", [](const Fixture& f) { return f.tune("--set model.quantize=nf3"); },
       "model.quantize is nf3; allowed: none, nf4, int8"},
      {"quantize_doubled", [](const Fixture& f) { return f.tune("--set model.double_quantize=true"); },
       "model.double_quantize needs model.quantize: nf4"},
      {"quantize_doubled_int8",
       [](const Fixture& f) { return f.tune("--set model.quantize=int8 --set model.double_quantize=true"); },
       "model.double_quantize needs model.quantize: nf4"},
      {"quantize_full", [](const Fixture& f) { return f.tune("--set model.quantize=nf4 --set train.method=full"); },
       "model.quantize: nf4 freezes the base, which train.method: full trains"},
      model("quantized_checkpoint", "\"model_type\"",
            "\"quantization_config\": {\"load_in_4bit\": true}, \"model_type\"", "quantization_config"),
      {"adapter_missing_tensors",
       [](const Fixture& f) {
         fs::remove(f.path("adapter/adapter_model.safetensors"));
         return f.tune("--set model.adapter='" + f.path("adapter") + "'");
       },
       "adapter_model.safetensors"},
  };
}

class BadInput : public ::testing::TestWithParam<Case> {};

TEST_P(BadInput, ExitsWithTwoAndOneLine) {
  const Fixture fixture;
  const std::string line = GetParam().arrange(fixture);
  if (HasFatalFailure()) return;
  const Outcome outcome = run(line);
  EXPECT_EQ(outcome.code, 2) << outcome.text;
  EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1) << outcome.text;
  EXPECT_NE(outcome.text.find(GetParam().names), std::string::npos) << outcome.text << "must name " << GetParam().names;
  EXPECT_FALSE(fs::exists(fixture.path("out/run.yaml"))) << "something was written";
}

INSTANTIATE_TEST_SUITE_P(Table, BadInput, ::testing::ValuesIn(all_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace finetune::testing

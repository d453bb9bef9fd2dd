#include "data/dataset.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <optional>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "data/all_cores.h"
#include "data/cache/token_cache.h"
#include "data/dataset_sum.h"
#include "data/part_examples.h"
#include "data/reader.h"
#include "data/record_format.h"

namespace finetune {
namespace {

// Cuts files into parts, lets all cores work on some at a time, and adds up what came of them in their order.
class Loader {
 public:
  Loader(const DataOptions& options, const Tokenizer& tokenizer, const LoadOptions& how, TokenCache& cache)
      : options_(options), format_(options, tokenizer), how_(how), cache_(cache) {}

  void load_file(const std::string& path) {
    data_.files.push_back(path);
    bytes_ = size_of(path);
    done_ = 0;
    try {
      read_parts(path, options_.separator, options_.memory, [&](FilePart part) { take(std::move(part)); });
    } catch (const Error&) {
      work_off();  // what came before is said first
      throw;
    }
    work_off();
  }

  Dataset take() { return std::move(data_); }

 private:
  std::uint64_t size_of(const std::string& path) const {
    if (is_memory_file(path)) return text_of_memory_file(options_.memory, path)->size();
    std::error_code unknown;
    const auto size = std::filesystem::file_size(path, unknown);
    return unknown ? 0 : size;
  }

  struct Worked {
    Dataset data;
    std::exception_ptr thrown;
  };
  static constexpr std::size_t kPartsPerCore = 8;

  std::int32_t file() const { return static_cast<std::int32_t>(data_.files.size()) - 1; }

  void take(FilePart part) {
    if (!format_.is_open()) open(part);
    parts_.push_back(std::move(part));
    if (parts_.size() >= kPartsPerCore * core_count()) work_off();
  }

  void open(const FilePart& part) {
    std::optional<Record> first;
    part.read({[&](Record record) {
                 if (!first) first = std::move(record);
               },
               [](std::int64_t, const std::string&) {}});
    if (!first) return;
    try {
      format_.open(*first);
    } catch (const Error& error) {
      throw bad_input(place_of(data_, file(), first->line), error.what());
    }
    data_.format = format_.detected().name;
    data_.format_reason = format_.detected().reason;
    if (const ChatTemplate* chat_template = format_.chat_template()) {
      data_.chat_template = chat_template->name();
      data_.reads_date = chat_template->reads_date();
    }
  }

  Worked work_on(const FilePart& part) const {
    Worked worked;
    PartExamples examples(format_, file());
    try {
      part.read({[&](const Record& record) { examples.add(record); },
                 [&](std::int64_t line, const std::string& reason) { examples.reject(line, reason); }});
      worked.data = examples.take();
    } catch (...) {
      worked.thrown = std::current_exception();
    }
    return worked;
  }

  // Of several parts that throw the first is heard, whoever was faster.
  void work_off() {
    const std::vector<FilePart> parts = std::exchange(parts_, {});
    std::vector<Worked> worked(parts.size());
    on_all_cores(parts.size(), [&](std::size_t i) { worked[i] = work_on(parts[i]); });
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (worked[i].thrown) std::rethrow_exception(worked[i].thrown);
      cache_.add(data_.examples, worked[i].data.examples);
      add_counts(data_, worked[i].data, 0);
      done_ += parts[i].bytes;
    }
    if (!how_.progress || bytes_ == 0 || parts.empty()) return;
    how_.progress({data_.files.back(), std::min(1.0, static_cast<double>(done_) / static_cast<double>(bytes_))});
  }

  const DataOptions& options_;
  RecordFormat format_;
  const LoadOptions& how_;
  TokenCache& cache_;
  std::vector<FilePart> parts_;
  std::uint64_t bytes_ = 0, done_ = 0;  // of the file
  Dataset data_;
};

}  // namespace

std::string place_of(const Dataset& data, std::int32_t file, std::int64_t line) {
  return data.files.at(static_cast<std::size_t>(file)) + ":" + std::to_string(line);
}

Dataset load_dataset(const std::vector<std::string>& files, const DataOptions& options, const Tokenizer& tokenizer,
                     const LoadOptions& how) {
  TokenCache cache(how.cache, files, options, tokenizer, how.say);
  if (auto kept = cache.find()) return std::move(*kept);
  Loader loader(options, tokenizer, how, cache);
  for (const auto& file : files) loader.load_file(file);
  Dataset data = loader.take();
  if (!data.rejects.empty() && !how.collect_rejects) {
    const Reject& first = data.rejects.front();
    const std::size_t more = data.rejects.size() - 1;
    throw bad_input(place_of(data, first.file, first.line),
                    first.reason + (more > 0 ? " (and " + with_commas(static_cast<long long>(more)) +
                                                   " more bad lines; finetune_tune check lists them)"
                                             : ""));
  }
  cache.finish(data);
  return data;
}

std::string share_problem(const Dataset& data, const DataOptions& options) {
  const auto examples = static_cast<std::int64_t>(data.examples.size());
  if (data.chat_template.empty() || data.records == 0) return "";
  if (data.loss_tokens == 0) {
    return "no token of the conversations is trained: the template " + data.chat_template +
           " writes nothing for the assistant's messages, all of them are left out, or data.max_length cuts them off";
  }
  if (options.train_on == "all" || data.loss_tokens < data.tokens - examples) return "";  // the first is no target
  return "every token of the conversations is trained, prompts included; look at the rows with check, or set "
         "data.train_on: all where that is meant";
}

}  // namespace finetune

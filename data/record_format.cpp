#include "data/record_format.h"

#include <utility>

#include "data/preference.h"

namespace finetune {

RecordFormat::RecordFormat(const DataOptions& options, const Tokenizer& tokenizer)
    : options_(options), tokenizer_(tokenizer), encoder_(tokenizer), marker_(options, tokenizer) {
  if (tokenizer.eos_id) eos_ = tokenizer.id_to_token(*tokenizer.eos_id);
}

void RecordFormat::open(const Record& first) {
  DetectedFormat detected = detect_format(first.value, options_);
  const bool pairs = detected.name == "preference";
  const std::string style = pairs ? preference_style(first.value, options_) : detected.name;
  template_ = choose_chat_template(options_, style, tokenizer_);
  detected_ = std::move(detected);
}

}  // namespace finetune

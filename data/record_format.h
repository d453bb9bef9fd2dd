// What records are read by: the format and the chat template that the first of them shows, and what turns a text into
// tokens. Immutable once opened, so any thread may use it.
#pragma once

#include <memory>
#include <string>

#include "data/chat_template.h"
#include "data/dataset.h"
#include "data/example_encoder.h"
#include "data/format.h"
#include "data/loss_marker.h"
#include "data/reader.h"

namespace finetune {

class RecordFormat {
 public:
  /// Both must outlive this.
  RecordFormat(const DataOptions& options, const Tokenizer& tokenizer);

  bool is_open() const { return !detected_.name.empty(); }
  /// By the first record. Throws Error (bad_input, no location).
  void open(const Record& first);

  const DataOptions& options() const { return options_; }
  const ExampleEncoder& encoder() const { return encoder_; }
  const LossMarker& marker() const { return marker_; }
  const DetectedFormat& detected() const { return detected_; }
  const std::string& eos() const { return eos_; }                              ///< its text; "" = none
  const ChatTemplate* chat_template() const { return template_.get(); }        ///< null where there is none
  bool hands_over() const { return template_ && template_->takes_columns(); }  ///< all columns, to the template

 private:
  const DataOptions& options_;
  const Tokenizer& tokenizer_;
  const ExampleEncoder encoder_;
  const LossMarker marker_;
  std::string eos_;
  DetectedFormat detected_;
  std::unique_ptr<ChatTemplate> template_;
};

}  // namespace finetune

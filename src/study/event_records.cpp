#include "study/event_records.h"

#include <array>
#include <bit>

namespace finetune {
namespace {

// Fields of a protobuf message, in the order in which they are added.
// https://protobuf.dev/programming-guides/encoding
class Message {
 public:
  Message& number(int field, std::uint64_t value) { return key(field, 0).varint(value); }
  Message& real(int field, double value) { return key(field, 1).little_endian(std::bit_cast<std::uint64_t>(value)); }
  Message& real32(int field, float value) { return key(field, 5).little_endian(std::bit_cast<std::uint32_t>(value)); }
  Message& text(int field, std::string_view bytes) {
    key(field, 2).varint(bytes.size());
    bytes_ += bytes;
    return *this;
  }
  Message& message(int field, const Message& inner) { return text(field, inner.bytes_); }
  template <typename Unsigned>
  Message& little_endian(Unsigned value) {
    for (std::size_t i = 0; i < sizeof value; ++i) bytes_ += static_cast<char>(value >> 8 * i & 0xff);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Message& key(int field, int wire_type) {
    return varint(static_cast<std::uint64_t>(field) << 3 | static_cast<std::uint64_t>(wire_type));
  }
  Message& varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>((value & 0x7f) | 0x80);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  std::string bytes_;
};

std::uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8U;
}

// TFRecord: length, its checksum, the message, its checksum.
std::string record(const Message& event) {
  const std::string& data = event.bytes();
  const std::string length = Message().little_endian(std::uint64_t{data.size()}).bytes();
  return length + Message().little_endian(masked_crc(length)).bytes() + data +
         Message().little_endian(masked_crc(data)).bytes();
}

// Event: wall_time 1, step 2, file_version 3, summary 5. Summary: value 1. Value: tag 1, simple_value 2, metadata 9.
Message event(double wall_time, std::int64_t step) {
  return Message().real(1, wall_time).number(2, static_cast<std::uint64_t>(step));
}

// SummaryMetadata: plugin_data 1. PluginData: plugin_name 1, content 2. HParamsPluginData: version 1, which is 0.
std::string hparams_record(double wall_time, const char* tag, const Message& content) {
  const Message plugin = Message().text(1, "hparams").message(2, content);
  const Message value = Message().text(1, tag).message(9, Message().message(1, plugin));
  return record(event(wall_time, 0).message(5, Message().message(1, value)));
}

// google.protobuf.Value: number_value 2, string_value 3, bool_value 4.
Message protobuf_value(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return Message().text(3, *text);
  if (const auto* flag = std::get_if<bool>(&value)) return Message().number(4, *flag ? 1 : 0);
  return Message().real(2, as_number(value));
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
      table[i] = crc;
    }
    return table;
  }();
  std::uint32_t crc = ~std::uint32_t{0};
  for (const char c : bytes) crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  return ~crc;
}

std::string version_record(double wall_time) {
  return record(Message().real(1, wall_time).text(3, "brain.Event:2"));
}

std::string scalars_record(double wall_time, std::int64_t step, const Scalars& scalars) {
  Message summary;
  for (const auto& [tag, value] : scalars)
    summary.message(1, Message().text(1, tag).real32(2, static_cast<float>(value)));
  return record(event(wall_time, step).message(5, summary));
}

// HParamsPluginData: experiment 2. Experiment: hparam_infos 4, metric_infos 5. HParamInfo: name 1, type 4. MetricInfo:
// name 1. MetricName: tag 2.
std::string hparams_experiment_record(double wall_time, const HparamTypes& hparams,
                                      const std::vector<std::string>& metric_tags) {
  Message experiment;
  for (const auto& [name, type] : hparams)
    experiment.message(4, Message().text(1, name).number(4, static_cast<std::uint64_t>(type)));
  for (const std::string& tag : metric_tags) experiment.message(5, Message().message(1, Message().text(2, tag)));
  return hparams_record(wall_time, "_hparams_/experiment", Message().message(2, experiment));
}

// HParamsPluginData: session_start_info 3. SessionStartInfo: hparams 1 (a map: key 1, value 2), group_name 4,
// start_time_secs 5.
std::string hparams_start_record(double wall_time, const Params& hparams, const std::string& group) {
  Message start;
  for (const auto& [name, value] : hparams) start.message(1, Message().text(1, name).message(2, protobuf_value(value)));
  start.text(4, group).real(5, wall_time);
  return hparams_record(wall_time, "_hparams_/session_start_info", Message().message(3, start));
}

// HParamsPluginData: session_end_info 4. SessionEndInfo: status 1 (success 1, failure 2), end_time_secs 2.
std::string hparams_end_record(double wall_time, bool succeeded) {
  const Message end = Message().number(1, succeeded ? 1 : 2).real(2, wall_time);
  return hparams_record(wall_time, "_hparams_/session_end_info", Message().message(4, end));
}

}  // namespace finetune

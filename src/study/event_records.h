// Records of a TensorBoard event file: Event messages in protobuf's wire format, each between two checksums (TFRecord).
// Pure functions on plain values. Sources: tensorboard/compat/proto/{event,summary}.proto,
// tensorboard/plugins/hparams/{api,plugin_data}.proto, tensorflow/core/lib/io/record_writer.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/value.h"

namespace finetune {

/// What TensorBoard's scalars plugin plots: a tag and a number.
using Scalars = std::vector<std::pair<std::string, double>>;

/// The first record of every event file. `wall_time` of all records: seconds since 1970.
std::string version_record(double wall_time);
std::string scalars_record(double wall_time, std::int64_t step, const Scalars& scalars);

/// As the plugin numbers them; mixed: none of the others.
enum class HparamType { mixed = 0, text = 1, flag = 2, number = 3 };
using HparamTypes = std::vector<std::pair<std::string, HparamType>>;

/// Of the hparams plugin: its columns (what is not named here is not shown), then the values of this run, and how it
/// ended.
std::string hparams_experiment_record(double wall_time, const HparamTypes& hparams,
                                      const std::vector<std::string>& metric_tags);
std::string hparams_start_record(double wall_time, const Params& hparams, const std::string& group);
std::string hparams_end_record(double wall_time, bool succeeded);

/// CRC-32C (Castagnoli; RFC 3720, appendix B.4).
std::uint32_t crc32c(std::string_view bytes);

}  // namespace finetune

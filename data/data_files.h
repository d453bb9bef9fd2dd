// What a path of data.* names: a file, or the files of a folder, as people and the HuggingFace hub lay them out.
#pragma once

#include <string>
#include <vector>

namespace finetune {

/// What files are wanted for, where a folder names splits.
enum class Split { train, valid, test };

struct DataFiles {
  std::vector<std::string> files;  ///< what is read, in order
  std::string note;                ///< of a folder, for people: what was taken and what was passed over; "" of a file
};

/// A file is itself. Of a folder all .jsonl, .json, .csv, .tsv and .parquet files below it, sorted by name (.txt where
/// there are none of these). Where names of files or folders in it say a split (train-00000-of-00002.parquet, train/,
/// gsm8k_test.jsonl): for `train` the training split, or files without a split beside others; for `valid` the
/// validation, else the test split; for `test` the test split. Hidden files and descriptions (dataset_infos.json) are
/// no data. Throws Error (bad_input) naming the folder: nothing to read in it, no such split, several data sets side by
/// side, or what datasets.save_to_disk wrote.
DataFiles data_files(const std::string& path, Split split);

/// Of several paths, one after the other. `key` names them in `notes`.
std::vector<std::string> data_files(const std::vector<std::string>& paths, Split split, const std::string& key,
                                    std::vector<std::string>& notes);

}  // namespace finetune

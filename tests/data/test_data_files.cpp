// Folders as people and the hub lay them out: what is read for which split, what is said, what is refused.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/error.h"
#include "core/files.h"
#include "data/data_files.h"

namespace finetune::testing {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

class Folder : public ::testing::Test {
 protected:
  Folder() : path_(fs::temp_directory_path() / ("finetune_data_files_" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() override { fs::remove_all(path_); }

  void put(const Names& names) {
    for (const auto& name : names) {
      fs::create_directories((path_ / name).parent_path());
      write_file_atomically(path_ / name, "{}\n");
    }
  }
  Names read(Split split) {
    const DataFiles found = data_files(path_.string(), split);
    note_ = found.note;
    Names names;
    for (const auto& file : found.files) names.push_back(fs::path(file).lexically_relative(path_).string());
    return names;
  }
  std::string refusal(Split split) {
    try {
      read(split);
    } catch (const Error& error) {
      EXPECT_EQ(error.where(), path_.string());
      return error.message();
    }
    return "nothing was refused";
  }

  fs::path path_;
  std::string note_;
};

TEST_F(Folder, WithoutSplitsIsAllOfItByName) {
  put({"b.jsonl", "a/z.csv", "c.JSON", "README.md", ".cache/x.jsonl", ".hidden.jsonl", "notes.txt"});
  EXPECT_EQ(read(Split::train), (Names{"a/z.csv", "b.jsonl", "c.JSON"}));
  EXPECT_EQ(note_, "3 files (a/z.csv, b.jsonl, c.JSON); passed over: README.md, notes.txt");
  EXPECT_EQ(read(Split::valid).size(), 3u);
}

TEST_F(Folder, OfTheHubGivesEachKeyItsSplit) {
  put({"data/train-00001-of-00002.parquet", "data/train-00000-of-00002.parquet", "data/test-00000-of-00001.parquet",
       "data/validation-00000-of-00001.parquet", "dataset_infos.json", "README.md"});
  EXPECT_EQ(read(Split::train), (Names{"data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"}));
  EXPECT_EQ(
      note_,
      "the training split: 2 files (data/train-00000-of-00002.parquet, data/train-00001-of-00002.parquet); passed "
      "over: data/test-00000-of-00001.parquet, data/validation-00000-of-00001.parquet, README.md and 1 more");
  EXPECT_EQ(read(Split::valid), (Names{"data/validation-00000-of-00001.parquet"}));
  EXPECT_EQ(read(Split::test), (Names{"data/test-00000-of-00001.parquet"}));
}

TEST_F(Folder, NamesSplitsByFoldersAndWholeWords) {
  put({"train/a.jsonl", "dev/test_of_taste.jsonl", "constrained/contested.jsonl"});
  EXPECT_EQ(read(Split::train), (Names{"train/a.jsonl"}));
  EXPECT_EQ(read(Split::valid), (Names{"dev/test_of_taste.jsonl"})) << "the file's own name comes first: a test split";
  EXPECT_TRUE(note_.starts_with("the test split: 1 file")) << note_;
}

TEST_F(Folder, TrainsOnWhatNamesNoSplitBesideOthers) {
  put({"gsm8k.jsonl", "gsm8k_test.jsonl"});
  EXPECT_EQ(read(Split::train), (Names{"gsm8k.jsonl"}));
  EXPECT_EQ(read(Split::valid), (Names{"gsm8k_test.jsonl"}));
}

TEST_F(Folder, ReadsTextsWhereThereIsNothingElse) {
  put({"two.txt", "one.txt"});
  EXPECT_EQ(read(Split::train), (Names{"one.txt", "two.txt"}));
}

TEST_F(Folder, IsRefusedByWhatItLacks) {
  EXPECT_EQ(refusal(Split::train), "holds no .jsonl, .json, .csv, .tsv, .txt or .parquet file");
  put({"a.zst", "dataset_info.json"});
  EXPECT_EQ(refusal(Split::train),
            "holds no .jsonl, .json, .csv, .tsv, .txt or .parquet file, only a.zst, dataset_info.json");
  put({"train.jsonl"});
  EXPECT_EQ(refusal(Split::valid),
            "has no validation and no test split, only train.jsonl; name the files themselves, or set "
            "data.valid_fraction");
  EXPECT_EQ(refusal(Split::test), "has no test split, only train.jsonl; name the files themselves");
}

TEST_F(Folder, OfValidationAloneIsNoTrainingData) {
  put({"val.csv"});
  EXPECT_EQ(refusal(Split::train), "has no training split, only val.csv; name the files themselves");
}

TEST_F(Folder, OfSaveToDiskIsRefusedByName) {
  put({"train/data-00000-of-00001.arrow", "train/state.json", "train/dataset_info.json", "dataset_dict.json"});
  EXPECT_TRUE(refusal(Split::train).starts_with("is a folder of datasets.save_to_disk, whose Arrow files"));
}

TEST_F(Folder, OfSeveralDataSetsIsAsked) {
  put({"main/train-00000-of-00001.parquet", "socratic/train-00000-of-00001.parquet"});
  EXPECT_EQ(refusal(Split::train),
            "holds several data sets with splits of their own: main, socratic; name one of them");
}

TEST_F(Folder, SaysOfAFileNothing) {
  put({"test.jsonl"});
  std::vector<std::string> notes;
  const std::string file = (path_ / "test.jsonl").string();
  EXPECT_EQ(data_files(Names{file}, Split::train, "data.train", notes), Names{file});
  EXPECT_EQ(notes, Names{});
  EXPECT_EQ(data_files(Names{path_.string()}, Split::test, "data.test", notes), Names{file});
  EXPECT_EQ(notes, Names{"data.test: " + path_.string() + ": the test split: 1 file (test.jsonl)"});
}

}  // namespace
}  // namespace finetune::testing

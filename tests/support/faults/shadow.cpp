#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "support/faults/faults.h"

namespace faults {
namespace {

namespace fs = std::filesystem;

// A test that goes on without its model of the disk would test nothing.
[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "faults: %s\n", what.c_str());
  std::abort();
}

std::string inode_of(const struct stat& info) {
  return std::to_string(info.st_dev) + "-" + std::to_string(info.st_ino);
}

fs::path by_descriptor(int descriptor) {
  return "/proc/self/fd/" + std::to_string(descriptor);
}

}  // namespace

// The folder is ready when it has its file of generations: who was killed before begins again.
Shadow::Shadow(fs::path place, const fs::path& root) : place_(std::move(place)) {
  fs::create_directories(place_ / "files");
  fs::create_directories(place_ / "folders");
  const fs::path list = place_ / "generations";
  if (fs::exists(list)) {
    std::ifstream file(list);
    std::string inode;
    std::uint64_t generation = 0;
    while (file >> inode >> generation) generations_[inode] = generation;
    return;
  }
  if (fs::exists(root)) keep_tree(root);
  std::ofstream(list, std::ios::app);
}

void Shadow::made(const struct stat& info) {
  const std::string inode = inode_of(info);
  const std::uint64_t generation = ++generations_[inode];
  std::ofstream file(place_ / "generations", std::ios::app);
  file << inode << ' ' << generation << std::endl;
  if (!file) give_up("FAULTS_SHADOW cannot be written");
}

void Shadow::synced(int descriptor) {
  struct stat info = {};
  if (::fstat(descriptor, &info) != 0) give_up("what was synced cannot be looked at");
  if (S_ISDIR(info.st_mode)) keep_folder(fs::canonical(by_descriptor(descriptor)), info);
  if (S_ISREG(info.st_mode)) keep_file(by_descriptor(descriptor), info);
}

std::string Shadow::key_of(const struct stat& info) const {
  const std::string inode = inode_of(info);
  const auto found = generations_.find(inode);
  return inode + "-" + std::to_string(found == generations_.end() ? 0 : found->second);
}

void Shadow::keep_file(const fs::path& path, const struct stat& info) {
  const fs::path kept = place_ / "files" / key_of(info), next = place_ / "next";
  fs::copy_file(path, next, fs::copy_options::overwrite_existing);
  fs::rename(next, kept);
}

// A line for each name: kind, key, name, and where a link points to.
void Shadow::keep_folder(const fs::path& path, const struct stat& info) {
  const fs::path next = place_ / "next";
  {
    std::ofstream file(next);
    for (const auto& entry : fs::directory_iterator(path)) {
      struct stat named = {};
      if (::lstat(entry.path().c_str(), &named) != 0) continue;
      const bool is_link = S_ISLNK(named.st_mode);
      file << (is_link                  ? 'l'
               : S_ISDIR(named.st_mode) ? 'd'
                                        : 'f')
           << '\t' << key_of(named) << '\t' << entry.path().filename().native() << '\t'
           << (is_link ? fs::read_symlink(entry.path()).native() : "") << '\n';
    }
    if (!file.flush()) give_up("FAULTS_SHADOW cannot be written");
  }
  fs::rename(next, place_ / "folders" / key_of(info));
}

void Shadow::keep_tree(const fs::path& path) {
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) give_up(path.string() + " cannot be looked at");
  if (S_ISREG(info.st_mode)) keep_file(path, info);
  if (!S_ISDIR(info.st_mode)) return;
  keep_folder(path, info);
  for (const auto& entry : fs::directory_iterator(path)) keep_tree(entry.path());
}

}  // namespace faults

# Finds Arrow and Parquet inside an unpacked pyarrow wheel and defines Arrow::parquet. The wheel's libraries carry their version
# in their names only.
find_path(Arrow_INCLUDE_DIR parquet/arrow/reader.h HINTS "${FINETUNE_ARROW}/pyarrow/include" NO_DEFAULT_PATH)
file(GLOB Arrow_LIBRARY "${FINETUNE_ARROW}/pyarrow/libarrow.so.*")
file(GLOB Arrow_parquet_LIBRARY "${FINETUNE_ARROW}/pyarrow/libparquet.so.*")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Arrow
  REQUIRED_VARS Arrow_INCLUDE_DIR Arrow_LIBRARY Arrow_parquet_LIBRARY
  REASON_FAILURE_MESSAGE "run ./setup.sh --parquet, which unpacks the pyarrow wheel into .deps")

if(Arrow_FOUND AND NOT TARGET Arrow::parquet)
  add_library(Arrow::parquet INTERFACE IMPORTED)
  target_include_directories(Arrow::parquet SYSTEM INTERFACE "${Arrow_INCLUDE_DIR}")
  target_link_libraries(Arrow::parquet INTERFACE "${Arrow_parquet_LIBRARY}" "${Arrow_LIBRARY}"
    "-Wl,-rpath,${FINETUNE_ARROW}/pyarrow")
endif()

// Runs the fuzz target over files, for compilers without libFuzzer: replay FILE…
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main(int count, char** names) {
    for (int i = 1; i < count; ++i) {
        std::ifstream file(names[i], std::ios::binary);
        if (!file) {
            std::fprintf(stderr, "%s: cannot be read\n", names[i]);
            return 2;
        }
        const std::vector<char> read{std::istreambuf_iterator<char>(file), {}};
        // memory of exactly its size, so that one byte past it is noticed
        const std::vector<uint8_t> bytes(read.begin(), read.end());
        std::fprintf(stderr, "%s\n", names[i]);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    }
    std::printf("%d inputs\n", count - 1);
    return 0;
}

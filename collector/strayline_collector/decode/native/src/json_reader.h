// A pull parser for JSON (RFC 8259, strictly): whoever reads takes or skips each value.
#pragma once

#include <cstdint>
#include <string_view>

#include "buffer.h"

namespace strayline {

constexpr int kMaxJsonDepth = 200;  // MAX_DEPTH in otlp_json.py

class JsonReader {
  public:
    // Checks that the text is UTF-8; a byte order mark at its start is passed over.
    explicit JsonReader(std::string_view text);

    // First character of the value that comes next.
    char peek();

    // member(name) takes or skips each value. The name is good until the next string is read.
    template <typename Member>
    void object(Member&& member) {
        enter('{');
        if (!leave('}')) {
            do {
                space();
                const std::string_view name = string();
                expect(':');
                member(name);
            } while (more('}'));
        }
    }

    // element() takes or skips each value.
    template <typename Element>
    void array(Element&& element) {
        enter('[');
        if (!leave(']')) {
            do {
                element();
            } while (more(']'));
        }
    }

    // Good until the next string is read. A surrogate alone becomes U+FFFD.
    std::string_view string();
    std::string_view number();
    bool boolean();
    bool null();  // takes null, if that comes next
    void skip();
    void finish();  // nothing but space may follow

  private:
    void space();
    void enter(char open);
    bool leave(char close);
    bool more(char close);
    void expect(char byte);
    bool word(std::string_view text);
    bool digits();
    void escape();
    uint32_t four_hex();

    const char* at_;
    const char* end_;
    int depth_ = 0;
    Buffer decoded_;
};

}  // namespace strayline

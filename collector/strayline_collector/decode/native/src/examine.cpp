#include "examine.h"

#include <algorithm>
#include <array>

#include "utf8.h"
#include "wire.h"

namespace strayline {
namespace {

enum Message : uint8_t {
    kRequest,
    kResourceSpans,
    kResource,
    kEntityRef,
    kScopeSpans,
    kScope,
    kSpan,
    kEvent,
    kLink,
    kStatus,
    kKeyValue,
    kAnyValue,
    kArrayValue,
    kKeyValueList,
    kMessages,
    kText,  // what else a field of bytes may have to be
    kAny,
};

constexpr uint32_t kFields = 17;

using Fields = std::array<uint8_t, kFields>;

constexpr Fields any() {
    Fields fields{};
    for (auto& field : fields) field = kAny;
    return fields;
}

// What the fields with wire type 2 of each message hold. Other fields can only be truncated.
constexpr std::array<Fields, kMessages> make_table() {
    std::array<Fields, kMessages> table{};
    for (auto& fields : table) fields = any();
    table[kRequest][1] = kResourceSpans;
    table[kResourceSpans][1] = kResource;
    table[kResourceSpans][2] = kScopeSpans;
    table[kResourceSpans][3] = kText;
    table[kResource][1] = kKeyValue;
    table[kResource][3] = kEntityRef;
    for (uint32_t field = 1; field <= 4; ++field) table[kEntityRef][field] = kText;
    table[kScopeSpans][1] = kScope;
    table[kScopeSpans][2] = kSpan;
    table[kScopeSpans][3] = kText;
    table[kScope][1] = kText;
    table[kScope][2] = kText;
    table[kScope][3] = kKeyValue;
    table[kSpan][3] = kText;
    table[kSpan][5] = kText;
    table[kSpan][9] = kKeyValue;
    table[kSpan][11] = kEvent;
    table[kSpan][13] = kLink;
    table[kSpan][15] = kStatus;
    table[kEvent][2] = kText;
    table[kEvent][3] = kKeyValue;
    table[kLink][3] = kText;
    table[kLink][4] = kKeyValue;
    table[kStatus][2] = kText;
    table[kKeyValue][1] = kText;
    table[kKeyValue][2] = kAnyValue;
    table[kAnyValue][1] = kText;
    table[kAnyValue][5] = kArrayValue;
    table[kAnyValue][6] = kKeyValueList;
    table[kArrayValue][1] = kAnyValue;
    table[kKeyValueList][1] = kKeyValue;
    return table;
}

constexpr auto kTable = make_table();

void check(uint8_t message, std::string_view bytes, int depth, Examined& counts) {
    if (depth > kMaxDepth) throw BadInput("it is nested too deeply");
    const Fields& fields = kTable[message];
    std::string_view trace_id;
    std::string_view span_id;
    Reader reader(bytes);
    while (!reader.done()) {
        const Tag tag = reader.tag();
        if (tag.type != WireType::kBytes) {
            reader.skip(tag, depth);
            continue;
        }
        const std::string_view value = reader.bytes();
        const uint8_t what = tag.field < kFields ? fields[tag.field] : uint8_t{kAny};
        if (what == kText) {
            if (!valid_utf8(value)) throw BadInput("a string is not UTF-8");
        } else if (what < kMessages) {
            check(what, value, depth + 1, counts);
        } else if (message == kSpan) {
            if (tag.field == 1) trace_id = value;
            if (tag.field == 2) span_id = value;
        }
    }
    if (message == kSpan) {
        if (valid_ids(trace_id, span_id)) {
            ++counts.accepted;
        } else {
            ++counts.rejected;
        }
    }
}

bool any_bit(std::string_view bytes) {
    return std::any_of(bytes.begin(), bytes.end(), [](char byte) { return byte != 0; });
}

}  // namespace

Examined examine(std::string_view request) {
    Examined counts;
    check(kRequest, request, 0, counts);
    return counts;
}

bool valid_ids(std::string_view trace_id, std::string_view span_id) {
    return trace_id.size() == 16 && span_id.size() == 8 && any_bit(trace_id) && any_bit(span_id);
}

}  // namespace strayline

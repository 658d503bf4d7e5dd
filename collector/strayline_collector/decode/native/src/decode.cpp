#include "decode.h"

#include <algorithm>

#include "attributes.h"
#include "examine.h"
#include "json_text.h"
#include "promote.h"

namespace strayline {
namespace {

constexpr uint64_t kMaxNs = (uint64_t{1} << 62) - 1;  // _MAX_NS in python.py
constexpr size_t kBatchBytes = size_t{256} << 20;     // of text, before a new batch is begun

constexpr uint64_t kMaxUnfolded = uint64_t{256} << 20;

using Segments = std::vector<std::string_view>;

struct ResourceColumns {
    Buffer service, environment, process, host, document;
    bool has_environment = false, has_process = false, has_host = false;

    size_t size() const {
        return service.size() + environment.size() + process.size() + host.size() + document.size();
    }
};

struct ScopeColumns {
    std::string_view name;
    Buffer document;
};

struct SpanFields {
    std::string_view trace_id, span_id, parent_span_id, trace_state, name;
    Segments attributes, events, links;
    Parts status;
    uint64_t start_ns = 0, end_ns = 0;
    uint32_t flags = 0, dropped_attributes = 0, dropped_events = 0, dropped_links = 0;
    int32_t kind = 0;

    void clear() {
        trace_id = span_id = parent_span_id = trace_state = name = {};
        attributes.clear();
        events.clear();
        links.clear();
        status = {};
        start_ns = end_ns = 0;
        flags = dropped_attributes = dropped_events = dropped_links = 0;
        kind = 0;
    }
};

void write_count(Buffer& out, std::string_view name, uint32_t count) {
    if (count == 0) return;
    out.put(name);
    json_unsigned(out, count);
}

void write_text(Buffer& out, std::string_view name, std::string_view text) {
    if (text.empty()) return;
    out.put(name);
    json_string(out, text);
}

template <typename Write>
void write_list(Buffer& out, const Segments& items, Write&& item) {
    out.put('[');
    for (size_t i = 0; i < items.size(); ++i) {
        if (i > 0) out.put(',');
        item(items[i]);
    }
    out.put(']');
}

class Decoder {
  public:
    explicit Decoder(int64_t received_ns) : received_ns_(received_ns) { begin(); }

    void request(std::string_view wire) {
        Parts(wire).fields([&](Tag tag, Reader& reader) {
            if (key(tag) != bytes(1)) return false;
            resource_spans(reader.bytes());
            return true;
        });
    }

    // Bytes of what resources and scopes put into columns, each once a span.
    uint64_t unfolded(std::string_view wire) {
        measuring_ = true;
        request(wire);
        return unfolded_;
    }

    Batches finish() {
        end();
        return std::move(batches_);
    }

  private:
    void begin() {
        batches_.push_back(std::make_unique<Batch>());
        batch_ = batches_.back().get();
        text_ = 0;
    }

    void end() {
        batch_->each([&](const char*, auto& column) { column.finish(batch_->rows); });
    }

    void put(TextColumn& column, std::string_view value) {
        column.put(batch_->rows, value);
        text_ += value.size();
    }

    void put_if_any(TextColumn& column, std::string_view value) {
        if (!value.empty()) put(column, value);
    }

    std::vector<Attribute>& read_attributes(const Segments& segments) {
        attributes_.clear();
        for (const auto& segment : segments)
            attributes_.push_back(read_attribute(arena_, segment));
        last_stands(attributes_);
        return attributes_;
    }

    const Value* attribute(std::string_view name) const {
        for (const Attribute& attribute : attributes_)
            if (attribute.key == name) return &attribute.value;
        return nullptr;
    }

    bool first(Buffer& out, std::initializer_list<std::string_view> names) const {
        for (const auto name : names) {
            const Value* value = attribute(name);
            if (value == nullptr || value->kind != Value::Kind::kString || value->bytes().empty())
                continue;
            out.put(value->bytes());
            return true;
        }
        return false;
    }

    void resource_spans(std::string_view wire) {
        Parts resource;
        Segments scopes;
        std::string_view schema_url;
        Arena arena;
        Parts(wire).fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(1): resource.add(arena, reader.bytes()); return true;
                case bytes(2): scopes.push_back(reader.bytes()); return true;
                case bytes(3): schema_url = reader.bytes(); return true;
                default: return false;
            }
        });
        const ResourceColumns columns = resource_columns(resource, schema_url);
        for (const auto& scope : scopes) scope_spans(columns, scope);
    }

    ResourceColumns resource_columns(const Parts& resource, std::string_view schema_url) {
        arena_.clear();
        Segments segments;
        Segments entities;
        uint32_t dropped = 0;
        resource.fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(1): segments.push_back(reader.bytes()); return true;
                case varint(2): dropped = static_cast<uint32_t>(reader.varint()); return true;
                case bytes(3): entities.push_back(reader.bytes()); return true;
                default: return false;
            }
        });
        read_attributes(segments);
        ResourceColumns columns;
        if (!first(columns.service, {"service.name"})) columns.service.put("unknown_service");
        columns.has_environment = first(columns.environment,
                                        {"deployment.environment.name", "deployment.environment"});
        columns.has_host = first(columns.host, {"host.id", "host.name", "container.id"});
        columns.has_process = first(columns.process, {"service.instance.id"});
        if (!columns.has_process && columns.has_host) {
            const Value* pid = attribute("process.pid");
            if (pid != nullptr &&
                (pid->kind == Value::Kind::kInt || pid->kind == Value::Kind::kBool)) {
                columns.process.put(columns.host.view());
                columns.process.put(':');
                as_text(columns.process, *pid);
                columns.has_process = true;
            }
        }
        Buffer& out = columns.document;
        out.put("{\"attributes\":");
        write_attributes(out, arena_, attributes_);
        write_count(out, ",\"dropped_attributes_count\":", dropped);
        write_text(out, ",\"schema_url\":", schema_url);
        if (!entities.empty()) {
            out.put(",\"entity_refs\":");
            write_list(out, entities, [&](std::string_view each) { entity(out, each); });
        }
        out.put('}');
        return columns;
    }

    static void entity(Buffer& out, std::string_view wire) {
        std::string_view schema_url, type;
        Segments ids, descriptions;
        Parts(wire).fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(1): schema_url = reader.bytes(); return true;
                case bytes(2): type = reader.bytes(); return true;
                case bytes(3): ids.push_back(reader.bytes()); return true;
                case bytes(4): descriptions.push_back(reader.bytes()); return true;
                default: return false;
            }
        });
        const auto text = [&](std::string_view each) { json_string(out, each); };
        out.put("{\"type\":");
        json_string(out, type);
        out.put(",\"id_keys\":");
        write_list(out, ids, text);
        if (!descriptions.empty()) {
            out.put(",\"description_keys\":");
            write_list(out, descriptions, text);
        }
        write_text(out, ",\"schema_url\":", schema_url);
        out.put('}');
    }

    void scope_spans(const ResourceColumns& resource, std::string_view wire) {
        Parts scope;
        Segments spans;
        std::string_view schema_url;
        Arena arena;
        Parts(wire).fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(1): scope.add(arena, reader.bytes()); return true;
                case bytes(2): spans.push_back(reader.bytes()); return true;
                case bytes(3): schema_url = reader.bytes(); return true;
                default: return false;
            }
        });
        const ScopeColumns columns = scope_columns(scope, schema_url);
        if (measuring_) {
            const auto valid = static_cast<uint64_t>(std::count_if(
                spans.begin(), spans.end(), [](std::string_view each) { return has_valid_ids(each); }));
            unfolded_ += valid * (resource.size() + columns.name.size() + columns.document.size());
            return;
        }
        for (const auto& each : spans) span(resource, columns, each);
    }

    ScopeColumns scope_columns(const Parts& scope, std::string_view schema_url) {
        arena_.clear();
        ScopeColumns columns;
        std::string_view version;
        Segments segments;
        uint32_t dropped = 0;
        scope.fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(1): columns.name = reader.bytes(); return true;
                case bytes(2): version = reader.bytes(); return true;
                case bytes(3): segments.push_back(reader.bytes()); return true;
                case varint(4): dropped = static_cast<uint32_t>(reader.varint()); return true;
                default: return false;
            }
        });
        Buffer& out = columns.document;
        out.put("{\"name\":");
        json_string(out, columns.name);
        write_text(out, ",\"version\":", version);
        if (!segments.empty()) {
            out.put(",\"attributes\":");
            write_attributes(out, arena_, read_attributes(segments));
        }
        write_count(out, ",\"dropped_attributes_count\":", dropped);
        write_text(out, ",\"schema_url\":", schema_url);
        out.put('}');
        return columns;
    }

    static bool has_valid_ids(std::string_view wire) {
        std::string_view trace_id, span_id;
        Parts(wire).fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(1): trace_id = reader.bytes(); return true;
                case bytes(2): span_id = reader.bytes(); return true;
                default: return false;
            }
        });
        return valid_ids(trace_id, span_id);
    }

    void read_span(std::string_view wire) {
        span_.clear();
        Parts(wire).fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(1): span_.trace_id = reader.bytes(); return true;
                case bytes(2): span_.span_id = reader.bytes(); return true;
                case bytes(3): span_.trace_state = reader.bytes(); return true;
                case bytes(4): span_.parent_span_id = reader.bytes(); return true;
                case bytes(5): span_.name = reader.bytes(); return true;
                case varint(6): span_.kind = static_cast<int32_t>(reader.varint()); return true;
                case fixed64(7): span_.start_ns = reader.fixed64(); return true;
                case fixed64(8): span_.end_ns = reader.fixed64(); return true;
                case bytes(9): span_.attributes.push_back(reader.bytes()); return true;
                case varint(10): span_.dropped_attributes = number(reader); return true;
                case bytes(11): span_.events.push_back(reader.bytes()); return true;
                case varint(12): span_.dropped_events = number(reader); return true;
                case bytes(13): span_.links.push_back(reader.bytes()); return true;
                case varint(14): span_.dropped_links = number(reader); return true;
                case bytes(15): span_.status.add(arena_, reader.bytes()); return true;
                case fixed32(16): span_.flags = reader.fixed32(); return true;
                default: return false;
            }
        });
    }

    static uint32_t number(Reader& reader) { return static_cast<uint32_t>(reader.varint()); }

    void span(const ResourceColumns& resource, const ScopeColumns& scope, std::string_view wire) {
        arena_.clear();
        read_span(wire);
        if (!valid_ids(span_.trace_id, span_.span_id)) return;
        Batch& batch = *batch_;
        const size_t row = batch.rows;
        batch.received_ns.put(row, received_ns_);
        put(batch.service, resource.service.view());
        if (resource.has_environment) put(batch.environment, resource.environment.view());
        if (resource.has_process) put(batch.process, resource.process.view());
        if (resource.has_host) put(batch.host, resource.host.view());
        put(batch.resource, resource.document.view());
        put_if_any(batch.scope_name, scope.name);
        put(batch.scope, scope.document.view());
        identity();
        batch.flags.put(row, span_.flags);
        put(batch.name, span_.name);
        batch.kind.put(row, static_cast<uint8_t>(span_.kind >= 0 && span_.kind <= 5 ? span_.kind : 0));
        batch.start_ns.put(row, static_cast<int64_t>(std::min(span_.start_ns, kMaxNs)));
        batch.end_ns.put(row, static_cast<int64_t>(std::min(span_.end_ns, kMaxNs)));
        status();
        promote(batch, span_.kind, read_attributes(span_.attributes));
        write(batch.attributes, [&](Buffer& out) { write_attributes(out, arena_, attributes_); });
        write_each(batch.events, span_.events, [&](Buffer& out, auto wire) { event(out, wire); });
        write_each(batch.links, span_.links, [&](Buffer& out, auto wire) { link(out, wire); });
        dropped();
        ++batch.rows;
        text_ += wire.size();  // what was promoted is at most that again
        if (text_ > kBatchBytes) {
            end();
            begin();
        }
    }

    template <typename Write>
    void write(TextColumn& column, Write&& write) {
        const size_t before = column.text().size();
        write(column.text());
        text_ += column.text().size() - before;
        column.end(batch_->rows);
    }

    template <typename Write>
    void write_each(TextColumn& column, const Segments& items, Write&& item) {
        if (items.empty()) return;
        write(column, [&](Buffer& out) {
            write_list(out, items, [&](std::string_view wire) { item(out, wire); });
        });
    }

    void identity() {
        write(batch_->trace_id, [&](Buffer& out) { hex(out, span_.trace_id); });
        write(batch_->span_id, [&](Buffer& out) { hex(out, span_.span_id); });
        const auto& parent = span_.parent_span_id;
        if (std::any_of(parent.begin(), parent.end(), [](char byte) { return byte != 0; }))
            write(batch_->parent_span_id, [&](Buffer& out) { hex(out, parent); });
        put_if_any(batch_->trace_state, span_.trace_state);
    }

    void status() {
        int32_t code = 0;
        std::string_view message;
        span_.status.fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(2): message = reader.bytes(); return true;
                case varint(3): code = static_cast<int32_t>(reader.varint()); return true;
                default: return false;
            }
        });
        batch_->status_code.put(batch_->rows, static_cast<uint8_t>(code >= 0 && code <= 2 ? code : 0));
        put_if_any(batch_->status_message, message);
    }

    void event(Buffer& out, std::string_view wire) {
        std::string_view name;
        uint64_t time = 0;
        uint32_t dropped = 0;
        segments_.clear();
        Parts(wire).fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case fixed64(1): time = reader.fixed64(); return true;
                case bytes(2): name = reader.bytes(); return true;
                case bytes(3): segments_.push_back(reader.bytes()); return true;
                case varint(4): dropped = number(reader); return true;
                default: return false;
            }
        });
        out.put("{\"name\":");
        json_string(out, name);
        out.put(",\"time_unix_nano\":");
        json_unsigned(out, std::min(time, kMaxNs));
        out.put(",\"attributes\":");
        write_attributes(out, arena_, read_attributes(segments_));
        write_count(out, ",\"dropped_attributes_count\":", dropped);
        out.put('}');
    }

    void link(Buffer& out, std::string_view wire) {
        std::string_view trace_id, span_id, trace_state;
        uint32_t flags = 0, dropped = 0;
        segments_.clear();
        Parts(wire).fields([&](Tag tag, Reader& reader) {
            switch (key(tag)) {
                case bytes(1): trace_id = reader.bytes(); return true;
                case bytes(2): span_id = reader.bytes(); return true;
                case bytes(3): trace_state = reader.bytes(); return true;
                case bytes(4): segments_.push_back(reader.bytes()); return true;
                case varint(5): dropped = number(reader); return true;
                case fixed32(6): flags = reader.fixed32(); return true;
                default: return false;
            }
        });
        out.put("{\"trace_id\":\"");
        hex(out, trace_id);
        out.put("\",\"span_id\":\"");
        hex(out, span_id);
        out.put("\",\"attributes\":");
        write_attributes(out, arena_, read_attributes(segments_));
        write_text(out, ",\"trace_state\":", trace_state);
        write_count(out, ",\"flags\":", flags);
        write_count(out, ",\"dropped_attributes_count\":", dropped);
        out.put('}');
    }

    void dropped() {
        if ((span_.dropped_attributes | span_.dropped_events | span_.dropped_links) == 0) return;
        write(batch_->dropped, [&](Buffer& out) {
            const size_t start = out.size();
            write_count(out, ",\"attributes\":", span_.dropped_attributes);
            write_count(out, ",\"events\":", span_.dropped_events);
            write_count(out, ",\"links\":", span_.dropped_links);
            out.data()[start] = '{';
            out.put('}');
        });
    }

    int64_t received_ns_;
    Batches batches_;
    Batch* batch_ = nullptr;
    size_t text_ = 0;
    bool measuring_ = false;
    uint64_t unfolded_ = 0;
    Arena arena_;
    SpanFields span_;
    Segments segments_;
    std::vector<Attribute> attributes_;
};

}  // namespace

Examined accept(std::string_view request) {
    const Examined counts = examine(request);
    // text is at most twelve times its wire, so that hardly any request is looked at twice
    if (counts.accepted > kMaxUnfolded / 12 / (request.size() + 1) &&
        Decoder(0).unfolded(request) > kMaxUnfolded)
        throw BadInput(
            "its resources, repeated for each span, take more than 268,435,456 bytes; send fewer "
            "spans at once, or smaller resources");
    return counts;
}

Batches decode(const std::vector<std::string_view>& requests, int64_t received_ns) {
    Decoder decoder(received_ns);
    for (const auto request : requests) {
        accept(request);
        decoder.request(request);
    }
    return decoder.finish();
}

}  // namespace strayline

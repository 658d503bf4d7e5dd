"""What SQL from outside may use. What stands on no list here is refused."""

from __future__ import annotations

from typing import Final

RELATIONS: Final = {
    "spans": "asked_spans",
    "publishes": "publishes",
    "deliveries": "deliveries",
    "settlements": "settlements",
    "topology": "topology",
    "queue_levels": "queue_levels",
    "census": "census",
    "verdicts": "verdicts",
    "findings": "findings",
    "finding_verdicts": "finding_verdicts",
}
"""Name in a statement → name in the store."""

BUILDING: Final = frozenset(
    {"||", "concat", "concat_ws", "string_agg", "group_concat", "listagg", "replace", "regexp_replace", "upper", "lower", "ucase", "lcase", "reverse", "strftime", "trim", "ltrim", "rtrim"}
)  # fmt: skip
"""Functions whose text can be longer than, or as long as, what goes in: those are kept short."""

AGGREGATES: Final = frozenset(
    {
        "count", "count_star", "sum", "avg", "mean", "min", "max", "arg_min", "arg_max", "min_by", "max_by", "argmin", "argmax", "any_value", "first", "last",
        "median", "mode", "quantile", "quantile_cont", "quantile_disc", "approx_quantile", "approx_count_distinct", "stddev", "stddev_pop", "stddev_samp",
        "variance", "var_pop", "var_samp", "bool_and", "bool_or", "count_if", "countif", "corr", "covar_pop", "covar_samp", "regr_slope", "regr_intercept", "regr_r2",
        "entropy", "kurtosis", "skewness", "mad", "product", "fsum", "kahan_sum", "favg",
    }
)  # fmt: skip
WINDOWS: Final = frozenset(
    {"row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"}
)  # fmt: skip
NO_WINDOWS: Final = frozenset({"mad", "entropy"})
"""Aggregates that look at a whole frame again for each row; 2,048 rows take minutes in one step."""
DISTINCT_WINDOWS: Final = frozenset({"count", "sum", "avg", "mean", "min", "max"})
"""Those that do not with DISTINCT."""
SCALARS: Final = frozenset(
    {
        # numbers
        "+", "-", "*", "/", "//", "%", "**", "^", "&", "|", "~", "<<", ">>", "@", "abs", "ceil", "ceiling", "floor", "round", "trunc", "sign", "sqrt", "cbrt", "exp", "ln", "log", "log2", "log10",
        "pow", "power", "mod", "divide", "add", "subtract", "multiply", "fmod", "fdiv", "greatest", "least", "isnan", "isinf", "isfinite", "pi", "degrees", "radians", "sin", "cos", "tan", "atan2", "xor", "bit_count",
        # texts
        "length", "len", "strlen", "char_length", "character_length", "left", "right", "substr", "substring", "left_grapheme", "split_part", "contains", "starts_with", "ends_with", "prefix", "suffix",
        "^@", "instr", "strpos", "position", "ascii", "ord", "unicode", "chr", "md5", "sha256", "hash", "~~", "!~~", "~~*", "!~~*", "regexp_matches", "regexp_full_match", "regexp_extract", "nullif", "ifnull",
        "typeof",
        # JSON
        "->", "->>", "json_extract", "json_extract_string", "json_extract_path", "json_extract_path_text", "json_exists", "json_contains", "json_type", "json_valid", "json_array_length", "json_keys", "json_value",
        "unnest", "list_value", "array_extract", "list_extract", "list_contains", "array_contains", "list_has", "array_length",
        # times
        "date_trunc", "datetrunc", "date_part", "datepart", "date_diff", "datediff", "date_sub", "datesub", "time_bucket", "epoch", "epoch_ms", "epoch_us", "epoch_ns", "make_timestamp", "make_timestamp_ms",
        "make_timestamp_ns", "make_timestamptz", "make_date", "to_timestamp", "to_seconds", "to_milliseconds", "to_microseconds", "to_minutes", "to_hours", "to_days", "to_weeks", "to_months", "to_years", "to_quarters", "to_decades",
        "year", "month", "day", "hour", "minute", "second", "millisecond", "microsecond", "dayofweek", "isodow", "week", "quarter", "dayname", "monthname", "last_day", "now", "today", "current_date", "current_timestamp", "get_current_timestamp", "timezone", "age",
    }
)  # fmt: skip
FUNCTIONS: Final = BUILDING | AGGREGATES | WINDOWS | SCALARS

ARGUMENTS: Final = {
    # with a second argument these keep that many values
    **dict.fromkeys(("min", "max", "any_value", "first", "last", "mode"), 1),
    **dict.fromkeys(("arg_min", "arg_max", "min_by", "max_by", "argmin", "argmax"), 2),
    "concat": 8,
    "concat_ws": 8,
}
"""At most so many arguments, where more mean more than they seem."""

LITERAL_AFTER_FIRST: Final = frozenset(
    {"json_extract", "json_extract_string", "json_extract_path", "json_extract_path_text", "json_exists", "json_type", "json_array_length", "json_keys", "json_value",
     "->", "->>", "quantile", "quantile_disc", "regexp_extract"}
)  # fmt: skip
"""With a list of paths, quantiles or names these copy a text as often as the list is long, and what
they give may go in again: all but their first argument are single literals."""

SPECIAL_NAMES: Final = frozenset(
    {"current_catalog", "current_database", "current_schema", "current_user", "session_user", "current_role", "user"}
)  # fmt: skip
"""Written like columns, answered with what is none of a statement's business."""

TYPES: Final = frozenset(
    {
        "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL", "VARCHAR",
        "DATE", "TIME", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "INTERVAL", "UUID", "NULL",
        "JSON", "TEXT", "STRING", "NUMERIC", "INT", "INT4", "INT8", "REAL", "FLOAT4", "FLOAT8", "BOOL", "LONG", "SHORT", "DATETIME", "TIMESTAMPTZ", "TIMESTAMP_US",
    }
)  # fmt: skip
"""Of casts and literals: of one value each, none of a length that the statement chooses."""
CLASSES: Final = frozenset(
    {"CONSTANT", "COLUMN_REF", "FUNCTION", "OPERATOR", "COMPARISON", "CONJUNCTION", "CASE", "CAST", "SUBQUERY", "WINDOW", "BETWEEN", "TYPE", "STAR", "POSITIONAL_REFERENCE"}
)  # fmt: skip
OPERATORS: Final = frozenset(
    {"OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_COALESCE", "OPERATOR_NULLIF", "GROUPING_FUNCTION", "ARRAY_EXTRACT"}
)  # fmt: skip
NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
REFERENCES: Final = frozenset({"BASE_TABLE", "JOIN", "SUBQUERY", "EMPTY", "EXPRESSION_LIST"})
NAMED: Final = REFERENCES - {"JOIN", "EMPTY"}
"""Those whose columns have a relation's name before them."""
MODIFIERS: Final = frozenset(
    {"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"}
)
ORDERS: Final = frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING"})

LITERAL_CHARACTERS: Final = 4096
PATTERN_CHARACTERS: Final = 512
PATTERN_WEIGHT: Final = 200
"""Of a pattern, in characters with its repetitions written out: so many steps each character of a
text may cost, and 2,048 texts are matched before anybody looks at the clock (20 s at worst)."""
REPLACING_WEIGHT: Final = 48
"""Of one of which every match is replaced (option ``g``): each match may look as far as the end."""
REPLACEMENT_CHARACTERS: Final = 8
"""Of what each match becomes: a text grows by at most this factor."""
MAX: Final = {
    "parts": 10_000,
    "levels": 300,
    "tables": 16,
    "relations in FROM": 32,
    "subqueries": 16,
    "grouping sets": 64,
    "stars beside others": 8,
    "text-building arguments": 48,
    "function calls": 500,
}
"""Of one statement; parts are counted with names for other columns replaced by what they stand for."""

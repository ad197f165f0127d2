"""What SQLAlchemy's tests may ask of PostgreSQL through our driver, and why they may not ask the rest."""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

# What the suite takes for missing unless a dialect says otherwise.
OFFERED = (
    "aggregate_order_by",
    "array_type",
    "async_dialect",
    "autocommit",
    "boolean_col_expressions",
    "check_constraint_reflection",
    "column_collation_reflection",
    "comment_reflection",
    "comment_reflection_full_unicode",
    "computed_columns_reflect_persisted",
    "computed_columns_stored",
    "constraint_comment_reflection",
    "create_or_replace_view",
    "create_table_as",
    "create_temp_table_as",
    "cross_schema_fk_reflection",
    "ctes",
    "ctes_on_dml",
    "ctes_with_update_delete",
    "ctes_with_values",
    "date_historic",
    "datetime_historic",
    "datetime_interval",
    "datetime_literals",
    "datetime_timezone",
    "datetime_timezone_historic",
    "default_schema_name_switch",
    "deferrable_fks",
    "delete_from",
    "except_",
    "expression_server_defaults",
    "fetch_expression",
    "fetch_first",
    "fetch_no_order_by",
    "fetch_offset_with_options",
    "legacy_unconditional_json_extract",
    "fetch_ties",
    "fk_constraint_option_reflection_ondelete_noaction",
    "fk_constraint_option_reflection_ondelete_restrict",
    "fk_constraint_option_reflection_onupdate_restrict",
    "float_or_double_precision_behaves_generically",
    "foreign_key_constraint_name_reflection",
    "foreign_key_constraint_option_reflection_ondelete",
    "foreign_key_constraint_option_reflection_onupdate",
    "has_temp_table",
    "identity_columns",
    "identity_columns_standard",
    "implicit_default_schema",
    "index_ddl_if_exists",
    "index_reflects_included_columns",
    "indexes_check_column_order",
    "indexes_with_expressions",
    "infinity_floats",
    "inline_check_constraint_reflection",
    "intersect",
    "isolation_level",
    "json_type",
    "materialized_views",
    "mod_operator_as_percent_sign",
    "nullsordering",
    "order_by_label_with_expression",
    "percent_schema_names",
    "precision_numerics_enotation_small",
    "precision_numerics_many_significant_digits",
    "precision_numerics_retains_significant_digits",
    "reflect_indexes_with_expressions",
    "reflect_table_options",
    "reflect_tables_no_columns",
    "reflects_pk_names",
    "regexp_match",
    "regexp_replace",
    "repeated_column_foreign_keys",
    "savepoints",
    "schema_create_delete",
    "server_defaults",
    "skip_autocommit_rollback",
    "supports_bitwise_and",
    "supports_bitwise_not",
    "supports_bitwise_or",
    "supports_bitwise_shift",
    "supports_bitwise_xor",
    "supports_distinct_on",
    "table_ddl_if_exists",
    "table_value_constructor",
    "temp_table_comment_reflection",
    "temp_table_names",
    "temporary_views",
    "time_timezone",
    "timestamp_microseconds",
    "tuple_in",
    "two_phase_transactions",
    "unicode_ddl",
    "unique_constraints_reflect_as_index",
    "update_from",
    "uuid_data_type",
    "views",
    "window_functions",
    "window_range",
    "window_range_non_numeric",
    "window_range_numeric",
)

# What it may not ask, and why.
EXCLUDED = {
    "dbapi_lastrowid": "PostgreSQL has no last row id; keys come from RETURNING",
    "emulated_lastrowid": "PostgreSQL has no last row id; keys come from RETURNING",
    "emulated_lastrowid_even_with_sequences": "PostgreSQL has no last row id; keys come from RETURNING",
    "fetch_percent": "PostgreSQL has no FETCH FIRST n PERCENT",
    "foreign_keys_reflect_as_index": "PostgreSQL makes no index for a foreign key",
    "json_deserializer_binary": "a json_deserializer gets the document as text",
    "materialized_views_reflect_pk": "a materialized view has no primary key in PostgreSQL",
    "non_updating_cascade": "PostgreSQL cascades updates of keys",
    "nvarchar_types": "PostgreSQL has no NVARCHAR and NCHAR; all its text is Unicode",
    "reflect_indexes_with_ascdesc_as_expression": "PostgreSQL reports a descending column as that column",
    "repeated_remote_col_foreign_keys": "PostgreSQL refuses a foreign key that names a column twice (42830)",
    "unique_index_reflect_as_unique_constraints": "in PostgreSQL a unique index is no constraint",
}


class Requirements(SuiteRequirements):  # type: ignore[misc]
    """Of the database that the suite is run on."""

    @property
    def computed_columns(self) -> Any:
        # SQLAlchemy's warning that a column will be stored, which said nothing of it.
        return exclusions.warns_if(["postgresql < 18"], r".*is being created as 'STORED'", False)

    @property
    def computed_columns_virtual(self) -> Any:
        return exclusions.only_if(
            "postgresql >= 18", "PostgreSQL computes columns when they are read from 18 on"
        )

    @property
    def computed_columns_default_persisted(self) -> Any:
        return exclusions.only_if("postgresql < 18", "from 18 on they are not stored unless it is said")

    def get_order_by_collation(self, config: Any) -> str:
        return "POSIX"


def offered(self: Requirements) -> Any:
    return exclusions.open()


def excluded(reason: str) -> property:
    return property(lambda self: exclusions.closed(reason))


for name in OFFERED:
    setattr(Requirements, name, property(offered))
for name, reason in EXCLUDED.items():
    setattr(Requirements, name, excluded(reason))

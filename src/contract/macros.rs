//! Macros that implement the traits of poem-openapi.

/// Implements `Type`: with an inline schema, for types that are a single JSON value, or with the schema of another type.
macro_rules! json_type {
    ($type:ty, $name:expr, $schema:expr) => {
        $crate::contract::macros::json_type! {
            @ $type, $name.into(), poem_openapi::registry::MetaSchemaRef::Inline(Box::new($schema)), |_| {}
        }
    };
    ($type:ty as $other:ty) => {
        $crate::contract::macros::json_type! {
            @ $type, <$other>::name(), <$other>::schema_ref(), <$other>::register
        }
    };
    (@ $type:ty, $name:expr, $schema_ref:expr, $register:expr) => {
        impl poem_openapi::types::Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $name
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                $schema_ref
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                let register: fn(&mut poem_openapi::registry::Registry) = $register;
                register(registry);
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}

/// Implements the JSON traits of a type with `parse` and `Display`.
macro_rules! json_string {
    ($type:ty) => {
        impl poem_openapi::types::ParseFromJSON for $type {
            fn parse_from_json(value: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                let text = value.as_ref().and_then(serde_json::Value::as_str);
                text.and_then(Self::parse).ok_or_else(poem_openapi::types::ParseError::expected_input)
            }
        }

        impl poem_openapi::types::ToJSON for $type {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(serde_json::Value::String(self.to_string()))
            }
        }
    };
}

/// Implements `Example`; fields without a value use the example of their type.
macro_rules! example {
    ($type:ident { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        impl poem_openapi::types::Example for $type {
            fn example() -> Self {
                Self { $($field: $crate::contract::macros::example!(@ $($value)?)),* }
            }
        }
    };
    (@ $value:expr) => { $value };
    (@) => { poem_openapi::types::Example::example() };
}

pub(super) use {example, json_string, json_type};

package org.openapitools.jackson.nullable;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.databind.BeanDescription;
import com.fasterxml.jackson.databind.BeanProperty;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.JavaType;
import com.fasterxml.jackson.databind.JsonDeserializer;
import com.fasterxml.jackson.databind.JsonSerializer;
import com.fasterxml.jackson.databind.SerializationConfig;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.deser.ContextualDeserializer;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.BeanPropertyWriter;
import com.fasterxml.jackson.databind.ser.BeanSerializerModifier;
import java.io.IOException;
import java.util.List;

/** Reads and writes {@link JsonNullable}: an absent value leaves out the field, any other is written, also null. */
public final class JsonNullableModule extends SimpleModule {
    private static final long serialVersionUID = 1;

    @SuppressWarnings("rawtypes")
    public JsonNullableModule() {
        super("JsonNullableModule");
        addSerializer(JsonNullable.class, new Writer());
        addDeserializer(JsonNullable.class, new Reader(null));
        setSerializerModifier(new SkipsAbsent());
    }

    @SuppressWarnings("rawtypes")
    private static final class Writer extends JsonSerializer<JsonNullable> {
        @Override
        public void serialize(JsonNullable value, JsonGenerator json, SerializerProvider provider) throws IOException {
            provider.defaultSerializeValue(value.get(), json);
        }
    }

    @SuppressWarnings("rawtypes")
    private static final class Reader extends JsonDeserializer<JsonNullable> implements ContextualDeserializer {
        private final JavaType type;

        Reader(JavaType type) {
            this.type = type;
        }

        @Override
        public JsonDeserializer<?> createContextual(DeserializationContext context, BeanProperty property) {
            return new Reader(context.getContextualType().containedType(0));
        }

        @Override
        public JsonNullable deserialize(JsonParser json, DeserializationContext context) throws IOException {
            Object value = context.readValue(json, type);
            return JsonNullable.of(value);
        }

        @Override
        public JsonNullable getNullValue(DeserializationContext context) {
            return JsonNullable.of(null);
        }
    }

    private static final class SkipsAbsent extends BeanSerializerModifier {
        private static final long serialVersionUID = 1;

        @Override
        public List<BeanPropertyWriter> changeProperties(
                SerializationConfig config, BeanDescription bean, List<BeanPropertyWriter> properties) {
            properties.replaceAll(
                    property -> property.getType().hasRawClass(JsonNullable.class) ? new Property(property) : property);
            return properties;
        }
    }

    private static final class Property extends BeanPropertyWriter {
        private static final long serialVersionUID = 1;

        Property(BeanPropertyWriter property) {
            super(property);
        }

        @Override
        public void serializeAsField(Object bean, JsonGenerator json, SerializerProvider provider) throws Exception {
            if (get(bean) instanceof JsonNullable<?> value && value.isPresent()) super.serializeAsField(bean, json, provider);
        }
    }
}

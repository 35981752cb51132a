# The generator makes serde take the discriminator out of an object and then requires it in the object. Each variant has a
# `type` (`op`) of one value, by which serde finds it.
s/^#\[serde\(tag = "(type|op)"\)\]$/#[serde(untagged)]/
# It forgets that items of an array can be null.
s/Vec<models::Task>/Vec<Option<models::Task>>/

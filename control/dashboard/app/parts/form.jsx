// A form for a JSON Schema of flat properties: strings, numbers, booleans and choices (MCP, "Elicitation"). Nothing is chosen
// beforehand, except for the defaults that the schema names.

import { useId, useRef, useState } from 'preact/hooks';

import { visible } from './text.js';

const kFew = 7; // choices that are shown as buttons; more of them become a list

export function SchemaForm({ schema, disabled, onSubmit, failure, children }) {
  const form = useRef();
  const [missing, setMissing] = useState();
  const properties = Object.entries(schema?.properties ?? {});
  const required = new Set(schema?.required ?? []);
  const submit = (event) => {
    event.preventDefault();
    const content = {};
    for (const [name, of] of properties) {
      const value = valueOf(form.current, name, of);
      if (value !== undefined) content[name] = value;
      else if (required.has(name)) return setMissing(name);
    }
    setMissing(undefined);
    onSubmit(content);
  };
  return (
    <form ref={form} class="schema-form" onSubmit={submit} noValidate>
      {properties.map(([name, of]) => (
        <Field key={name} name={name} of={of} required={required.has(name)} disabled={disabled} missing={missing === name} />
      ))}
      {failure && (
        <p class="failure" role="alert">
          {failure}
        </p>
      )}
      <div class="choices">
        <button class="allow" disabled={disabled}>
          Answer
        </button>
        {children}
      </div>
    </form>
  );
}

// The choices of a property as [value, words], or nothing.
function choicesOf(of) {
  const list = of.oneOf ?? of.anyOf ?? of.items?.oneOf ?? of.items?.anyOf;
  if (list) return list.map(({ const: value, title }) => [value, title ?? value]);
  const values = of.enum ?? of.items?.enum;
  return values?.map((value, i) => [value, (of.enumNames ?? of.items?.enumNames ?? values)[i]]);
}

function valueOf(form, name, of) {
  const choices = choicesOf(of);
  const inputs = [...form.querySelectorAll(`[data-name="${CSS.escape(name)}"]`)];
  if (choices) {
    const chosen = inputs.flatMap((input) => (input.tagName === 'SELECT' ? [input.value] : input.checked ? [input.value] : []));
    const values = chosen.filter((at) => at !== '').map((at) => choices[Number(at)][0]);
    if (of.type === 'array') return values.length > 0 ? values : undefined;
    return values[0];
  }
  const [input] = inputs;
  if (of.type === 'boolean') return input.checked;
  if (input.value === '') return undefined;
  return of.type === 'number' || of.type === 'integer' ? Number(input.value) : input.value;
}

function Field({ name, of, required, disabled, missing }) {
  const id = useId();
  const words = visible(of.title ?? name);
  const choices = choicesOf(of);
  const several = of.type === 'array';
  const about = of.description && (
    <span class="hint" id={`${id}-about`}>
      {visible(of.description)}
    </span>
  );
  const shared = {
    'data-name': name,
    disabled,
    'aria-describedby': about ? `${id}-about` : undefined,
    'aria-invalid': missing ? 'true' : undefined,
  };
  const complaint = missing && <span class="failure">Please answer this.</span>;
  if (choices && (several || choices.length <= kFew)) {
    return (
      <fieldset class="field">
        <legend>
          {words} {!required && <span class="hint">optional</span>}
        </legend>
        {about}
        {choices.map(([value, choice], i) => (
          <label key={i} class="choice">
            <input
              type={several ? 'checkbox' : 'radio'}
              name={id}
              value={i}
              defaultChecked={several ? of.default?.includes?.(value) : of.default === value}
              {...shared}
            />
            <span>{visible(choice)}</span>
          </label>
        ))}
        {complaint}
      </fieldset>
    );
  }
  if (of.type === 'boolean') {
    return (
      <label class="choice field">
        <input type="checkbox" defaultChecked={of.default === true} {...shared} />
        <span>
          {words} {about}
        </span>
      </label>
    );
  }
  const kinds = { number: 'number', integer: 'number' };
  const formats = { email: 'email', uri: 'url', date: 'date', 'date-time': 'datetime-local' };
  return (
    <label class="field">
      <span>
        {words} {!required && <span class="hint">optional</span>}
      </span>
      {about}
      {choices ? (
        <select defaultValue="" {...shared}>
          <option value="" />
          {choices.map(([value, choice], i) => (
            <option key={i} value={i} selected={of.default === value}>
              {visible(choice)}
            </option>
          ))}
        </select>
      ) : (
        <input
          type={kinds[of.type] ?? formats[of.format] ?? 'text'}
          step={of.type === 'number' ? 'any' : undefined}
          min={of.minimum}
          max={of.maximum}
          maxLength={of.maxLength}
          defaultValue={of.default}
          {...shared}
        />
      )}
      {complaint}
    </label>
  );
}

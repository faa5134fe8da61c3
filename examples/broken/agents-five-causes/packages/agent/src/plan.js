export async function plan(openai, prompt) {
  const completion = await openai.completions.create({ model: 'text-davinci-003', prompt, max_tokens: 300 })
  return completion.choices[0].text.split('\n').filter((line) => line.trim() !== '')
}

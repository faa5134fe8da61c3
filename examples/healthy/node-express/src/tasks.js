const prefix = 'task-list-of-the-notes-of-one-person-2026-'

export const taskId = (title) => `${prefix}${title.toLowerCase().replaceAll(' ', '-')}`
export const riskOf = (id) => (id.startsWith('risk-assessment-0123456789abcdef0123456789abcdef') ? 'high' : 'low')

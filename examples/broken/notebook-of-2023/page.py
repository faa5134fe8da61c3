from dotenv import load_dotenv

load_dotenv()

import openai
import streamlit as st

st.title("Survey")
text = st.text_area("Answer")
if st.button("Code it"):
    completion = openai.ChatCompletion.create(
        model="gpt-6-luna",
        messages=[{"role": "user", "content": f"Code this answer with one word: {text}"}],
    )
    st.write(completion.choices[0].message.content)
